"""The identity of a batch: what makes a push that is sent again the same push."""

from __future__ import annotations

import hashlib

BATCH_ID_BYTES = 16
BATCH_HEADER = "X-Sillok-Batch"  # 32 hexadecimal digits, set by a sender that names its batches.
RECEIPT_HEADER = "X-Sillok-Receipt"  # JSON: {"batch", "stored", "duplicates", "refused": {reason: n}}


def batch_of(tenant: str, body: bytes) -> bytes:
    """The id of a push whose sender gave none: the same bytes of the same tenant are the same batch."""
    digest = hashlib.blake2b(tenant.encode() + b"\0", digest_size=BATCH_ID_BYTES)
    digest.update(body)
    return digest.digest()
