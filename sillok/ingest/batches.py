"""What waits for a commit: a push, or a piece of one that is too large for a block."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sillok.model.origin import BATCH_ID_BYTES
from sillok.model.push import EntryColumns, Pushed, PushedStream, RawEntries, Receipt

# Part of a batch's identity: a push that is sent again must be cut in the same places. Never change them.
MAX_BATCH_ENTRIES = 100_000
MAX_BATCH_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Streams that are stored under one id. `first` is the ordinal of the first entry in its push."""

    tenant: str
    id: bytes
    streams: Sequence[PushedStream]
    entries: int
    bytes: int
    first: int = 0


def entry_count(stream: PushedStream) -> int:
    entries = stream.entries
    return len(entries.messages) if isinstance(entries, RawEntries) else len(entries.lines)


def piece_id(batch: bytes, index: int) -> bytes:
    return hashlib.blake2b(batch + index.to_bytes(4, "little"), digest_size=BATCH_ID_BYTES).digest()


def pieces(tenant: str, pushed: Pushed, batch: bytes) -> Iterator[Batch]:
    """The push in batches of at most MAX_BATCH_ENTRIES entries and about MAX_BATCH_BYTES bytes.

    The cuts depend on the entries only, so that the same push is always cut into the same pieces.
    """
    piece = _Piece()
    first = index = 0
    for stream in pushed.streams:
        for entry, size in enumerate(_sizes(stream.entries)):
            if piece.is_full:
                yield Batch(tenant, piece_id(batch, index), piece.streams(), piece.entries, piece.bytes, first)
                first, index, piece = first + piece.entries, index + 1, _Piece()
            piece.add(stream, entry, size)
    yield Batch(tenant, piece_id(batch, index), piece.streams(), piece.entries, piece.bytes, first)


def joined(batch: bytes, receipts: Sequence[Receipt]) -> Receipt:
    """The receipt of a push from those of its pieces."""
    refused: Counter[str] = Counter()
    for receipt in receipts:
        refused.update(receipt.refused)
    texts = dict.fromkeys(receipt.error for receipt in receipts if receipt.error)
    return Receipt(
        batch,
        stored=sum(receipt.stored for receipt in receipts),
        duplicates=sum(receipt.duplicates for receipt in receipts),
        refused=dict(refused),
        error="; ".join(texts) or None,
    )


@dataclass(slots=True)
class _Piece:
    """Entries [start, end) of streams, in order."""

    spans: list[tuple[PushedStream, int, int]] = field(default_factory=list)
    entries: int = 0
    bytes: int = 0

    @property
    def is_full(self) -> bool:
        return self.entries >= MAX_BATCH_ENTRIES or self.bytes >= MAX_BATCH_BYTES

    def add(self, stream: PushedStream, entry: int, size: int) -> None:
        if self.spans and self.spans[-1][0] is stream:
            self.spans[-1] = (stream, self.spans[-1][1], entry + 1)
        else:
            self.spans.append((stream, entry, entry + 1))
        self.entries += 1
        self.bytes += size

    def streams(self) -> tuple[PushedStream, ...]:
        return tuple(
            PushedStream(stream.labels, _span(stream.entries, start, end)) for stream, start, end in self.spans
        )


def _sizes(entries: EntryColumns | RawEntries) -> Iterator[int]:
    return map(len, entries.messages if isinstance(entries, RawEntries) else entries.lines)


def _span(entries: EntryColumns | RawEntries, start: int, end: int) -> EntryColumns | RawEntries:
    if isinstance(entries, RawEntries):
        return RawEntries(entries.messages[start:end])
    return EntryColumns(
        entries.time_ns[start:end],
        entries.lines[start:end],
        entries.metadata[start:end] if entries.metadata is not None else None,
        entries.offsets[start:end] if entries.offsets is not None else None,
    )
