"""What a sender pushed, decoded but not yet judged, and the receipt it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sillok.model.labels import LabelSet

NO_TIME = -(1 << 63)  # As a time: the sender gave none, so the time of its receipt counts.


@dataclass(frozen=True, slots=True)
class EntryColumns:
    """Entries of one stream as parallel columns, in the order they were sent.

    `time_ns`, `lines` and `metadata` have one item an entry; `metadata` is None when no entry has any.
    `offsets` is the place of each line in its source (bytes), None when the sender did not say.
    """

    time_ns: Sequence[int]
    lines: Sequence[bytes]
    metadata: Sequence[tuple[tuple[str, str], ...]] | None = None
    offsets: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class RawEntries:
    """Entries of one stream as the protobuf messages they came in (`logproto.EntryAdapter`), undecoded.

    Decoding waits until the commit, where one pass does it for all waiting pushes.
    """

    messages: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class PushedStream:
    """`labels` is the text of the label set as sent, `{a="b"}` (Loki push), or the set itself (OTLP)."""

    labels: str | LabelSet
    entries: EntryColumns | RawEntries


@dataclass(frozen=True, slots=True)
class Pushed:
    """The streams of one push, in the order they were sent.

    `body_bytes` is the length of the body it came in, decompressed: what it weighs in a queue.
    """

    streams: Sequence[PushedStream]
    body_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one batch.

    `stored`: entries that this push stored. `duplicates`: entries that an earlier push of the same batch
    had stored already. `refused`: entries per reason (Loki's reason names, e.g. `line_too_long`).
    `error`: the text for the sender when anything was refused (Loki's wording), else None.
    stored + duplicates + sum(refused) = entries in the push.
    """

    batch: bytes
    stored: int
    duplicates: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
