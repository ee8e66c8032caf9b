"""Label sets: the name→value pairs that make a stream.

A label set is a tuple of (name, value) pairs, sorted by name, without empty values: it can be hashed,
compared and kept as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

LabelSet: TypeAlias = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})


def label_set(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> LabelSet:
    """The sorted label set of `pairs`; pairs with an empty value do not exist, as in Prometheus."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple(sorted((name, value) for name, value in items if value))


def is_label_name(name: str) -> bool:
    return _NAME.match(name) is not None


def format_labels(labels: LabelSet) -> str:
    """`{app="api", host="a"}`: the text Loki's push and error messages use."""
    return "{" + ", ".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels) + "}"


def stream_id(tenant: str, labels: LabelSet) -> int:
    """The stream's identity: 64 bits of BLAKE2b over the tenant and the sorted labels."""
    digest = hashlib.blake2b(tenant.encode(), digest_size=8)
    for name, value in labels:
        for part in (name.encode(), value.encode()):
            digest.update(len(part).to_bytes(4, "little"))
            digest.update(part)
    return int.from_bytes(digest.digest(), "little")
