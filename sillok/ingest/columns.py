"""The entries of many pushes as columns, decoded together: what a commit judges and stores.

Columns are NumPy arrays (numbers, conditions) and Arrow arrays (bytes); there is no Python object a line
for protobuf pushes, which are nearly all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sillok.model.push import EntryColumns, RawEntries
from sillok.wire.loki_entries import NO_OFFSET, Slices, decode_entries

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

_NO_INTS: Ints = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Columns:
    """Entries. `stream` is the place of each entry's stream in the list that was decoded, `ordinal` its
    place in that stream, `offset` its place in its source (NO_OFFSET: not said).

    Metadata is a flat list of pairs; `pair_entry` (ascending) says to which entry each belongs.
    """

    stream: Ints
    ordinal: Ints
    time_ns: Ints
    line: pa.Array
    offset: Ints
    pair_entry: Ints
    name: pa.Array
    value: pa.Array

    def __len__(self) -> int:
        return self.time_ns.size

    @property
    def line_bytes(self) -> Ints:
        return lengths(self.line)

    @property
    def pairs(self) -> Ints:
        """How many pairs of metadata each entry has."""
        return np.bincount(self.pair_entry, minlength=len(self))

    @property
    def pair_bytes(self) -> Ints:
        """The bytes of the names and values of each entry's metadata."""
        weights = lengths(self.name) + lengths(self.value)
        return np.bincount(self.pair_entry, weights=weights, minlength=len(self)).astype(np.int64)

    @property
    def sizes(self) -> Ints:
        """The bytes of each entry, as Loki counts them."""
        return self.line_bytes + self.pair_bytes

    def keep(self, kept: Bools) -> Columns:
        """The entries where `kept` is true."""
        if kept.all():
            return self
        renumbered = np.cumsum(kept) - 1
        is_pair_kept = kept[self.pair_entry]
        rows = pa.array(np.flatnonzero(kept))
        pairs = pa.array(np.flatnonzero(is_pair_kept))
        return Columns(
            self.stream[kept],
            self.ordinal[kept],
            self.time_ns[kept],
            self.line.take(rows),
            self.offset[kept],
            renumbered[self.pair_entry[is_pair_kept]],
            self.name.take(pairs),
            self.value.take(pairs),
        )


def lengths(values: pa.Array) -> Ints:
    """The lengths of binary values."""
    counted: NDArray[np.int32] = pc.binary_length(values).to_numpy()
    return counted.astype(np.int64)


def decode(streams: Sequence[EntryColumns | RawEntries]) -> Columns:
    """The entries of `streams`, one after the other in no particular order of streams.

    Raises:
        PushSyntaxError: an entry cannot be decoded.
    """
    raw = [(index, entries) for index, entries in enumerate(streams) if isinstance(entries, RawEntries)]
    ready = [(index, entries) for index, entries in enumerate(streams) if isinstance(entries, EntryColumns)]
    if not ready:
        return _of_raw(raw)
    if not raw:
        return _of_columns(ready)
    return _joined(_of_raw(raw), _of_columns(ready))


def _of_raw(streams: Sequence[tuple[int, RawEntries]]) -> Columns:
    decoded = decode_entries(list(chain.from_iterable(entries.messages for _, entries in streams)))
    stream, ordinal = _places([(index, len(entries.messages)) for index, entries in streams])
    buffer = pa.py_buffer(decoded.buffer)
    return Columns(
        stream,
        ordinal,
        decoded.time_ns,
        _cut(buffer, decoded.line),
        decoded.offset,
        decoded.pair_entry,
        _cut(buffer, decoded.name),
        _cut(buffer, decoded.value),
    )


def _of_columns(streams: Sequence[tuple[int, EntryColumns]]) -> Columns:
    counts = [(index, len(entries.lines)) for index, entries in streams]
    stream, ordinal = _places(counts)
    count = stream.size
    pair_entry: list[int] = []
    names: list[bytes] = []
    values: list[bytes] = []
    first = 0
    for _, entries in streams:
        for entry, pairs in enumerate(entries.metadata or (), first):
            for name, value in pairs:
                pair_entry.append(entry)
                names.append(name.encode("utf-8", "replace"))
                values.append(value.encode("utf-8", "replace"))
        first += len(entries.lines)
    return Columns(
        stream,
        ordinal,
        np.fromiter(chain.from_iterable(entries.time_ns for _, entries in streams), np.int64, count),
        pa.array(list(chain.from_iterable(entries.lines for _, entries in streams)), pa.binary()),
        np.fromiter(chain.from_iterable(_offsets(entries) for _, entries in streams), np.int64, count),
        np.array(pair_entry, np.int64),
        pa.array(names, pa.binary()),
        pa.array(values, pa.binary()),
    )


def _offsets(entries: EntryColumns) -> Sequence[int]:
    return entries.offsets if entries.offsets is not None else [NO_OFFSET] * len(entries.lines)


def _places(counts: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    indices = np.array([index for index, _ in counts], np.int64)
    sizes = np.array([count for _, count in counts], np.int64)
    stream = np.repeat(indices, sizes)
    ordinal = np.arange(stream.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return stream, ordinal


def _cut(buffer: pa.Buffer, places: Slices) -> pa.Array:
    """The slices, which ascend, as one binary array: Arrow's `take` copies them in native code.

    The buffer is cut at the start and the end of every slice, and every second piece is taken.
    """
    borders = np.empty(2 * places.start.size + 1, np.int32)
    borders[0:-1:2] = places.start
    borders[1::2] = places.end
    borders[-1] = len(buffer)
    cut = pa.Array.from_buffers(pa.binary(), borders.size - 1, [None, pa.py_buffer(borders), buffer])
    return cut.take(pa.array(np.arange(0, borders.size - 1, 2)))


def _joined(first: Columns, second: Columns) -> Columns:
    return Columns(
        np.concatenate([first.stream, second.stream]),
        np.concatenate([first.ordinal, second.ordinal]),
        np.concatenate([first.time_ns, second.time_ns]),
        pa.concat_arrays([first.line, second.line]),
        np.concatenate([first.offset, second.offset]),
        np.concatenate([first.pair_entry, second.pair_entry + len(first)]),
        pa.concat_arrays([first.name, second.name]),
        pa.concat_arrays([first.value, second.value]),
    )
