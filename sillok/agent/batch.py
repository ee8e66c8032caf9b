"""The open batch: entries by stream, until there are enough of them or they have waited long enough."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

import cramjam

from sillok.agent.custody import Sealed
from sillok.wire.loki_push import SentEntry, encode_protobuf

Entries: TypeAlias = dict[str, list[SentEntry]]  # by label text

ENTRY_BYTES = 24  # What an entry costs besides its line: time, offset, lengths.


class Batch:
    """Filled by the sources, sealed once. `size` counts what the body will roughly weigh."""

    def __init__(self) -> None:
        self.size = 0
        self._streams: Entries = {}
        self._lines: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._positions: dict[str, Any] = {}
        self._forgotten: list[str] = []

    @property
    def is_empty(self) -> bool:
        return not self._positions and not self._forgotten

    @property
    def has_lines(self) -> bool:
        return bool(self._lines)

    def stream(self, labels: str) -> list[SentEntry]:
        """The entries of one stream, to append to. Whoever appends calls `count` afterwards."""
        entries = self._streams.get(labels)
        if entries is None:
            entries = self._streams[labels] = []
        return entries

    def count(self, source: str, *, lines: int, line_bytes: int) -> None:
        """`lines` of `source` were appended, of `line_bytes` together."""
        if lines:
            self._lines[source] = self._lines.get(source, 0) + lines
            self._sizes[source] = self._sizes.get(source, 0) + line_bytes
            self.size += line_bytes + lines * ENTRY_BYTES

    @property
    def sources(self) -> Collection[str]:
        return self._lines.keys()

    def lines_of(self, source: str) -> int:
        return self._lines.get(source, 0)

    def move(self, position: str, reached: Any) -> None:
        """`position` reaches `reached` with this batch."""
        self._positions[position] = reached

    def forget(self, position: str) -> None:
        self._positions.pop(position, None)
        self._forgotten.append(position)

    def positions(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        return self._positions, tuple(self._forgotten)

    def seal(self) -> Sealed:
        """The bytes to send: protobuf, snappy. Streams go by their labels: equal batches are equal bytes."""
        streams = ((labels, entries) for labels, entries in sorted(self._streams.items()) if entries)
        body = bytes(cramjam.snappy.compress_raw(encode_protobuf(streams)))
        return Sealed(body, self._lines, self._sizes, self._positions, tuple(self._forgotten))
