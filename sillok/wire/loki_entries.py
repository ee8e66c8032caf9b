"""Many `logproto.EntryAdapter` messages, decoded in one pass of NumPy over all of them.

A walk takes one field of every message per step: as many steps as the longest message has fields, each a
handful of array operations, and no Python object a line. Lines and metadata stay where they are, as
slices of one joined buffer. A message the walk cannot read (broken, a group, an overlong tag) is left to
protobuf itself, so that the meaning is protobuf's everywhere: a property test compares the two.

Source:  Loki pkg/push/push.proto `EntryAdapter`, `LabelPairAdapter`; protobuf.dev/programming-guides/encoding
Differs: `parsed` (field 4), which only Loki's own queries use, is skipped. Times outside the range of
         64-bit nanoseconds (1677–2262) become the nearest inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from sillok.errors import PushSyntaxError
from sillok.wire.loki_push import OFFSET_FIELD
from sillok.wire.protobuf import Field, message_classes

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

NO_OFFSET = -1

_SECOND_NS = 1_000_000_000
_MAX_SECONDS = (1 << 63) // _SECOND_NS - 3  # leaves room for any 32-bit number of nanoseconds

_MAX_VARINT_BYTES = 10
_MAX_SHORT_VARINT_BYTES = 5  # tags and lengths; protobuf refuses longer ones
_MAX_LENGTH = (1 << 31) - 1
# A walk may look this far behind a message before it sees that the message has ended.
_PADDING = bytes(2 * _MAX_VARINT_BYTES)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_ENTRY = message_classes(
    "sillok.loki.entry",
    {
        "Entry": (
            Field("timestamp", 1, "Timestamp"),
            Field("line", 2, "bytes"),
            Field("metadata", 3, "Pair", repeated=True),
            Field("offset", OFFSET_FIELD, "uint64"),
        ),
        "Timestamp": (Field("seconds", 1, "int64"), Field("nanos", 2, "int32")),
        "Pair": (Field("name", 1, "bytes"), Field("value", 2, "bytes")),
    },
)["Entry"]


@dataclass(frozen=True, slots=True)
class Slices:
    """Byte strings as places in a buffer. They ascend."""

    start: Ints
    end: Ints

    @property
    def lengths(self) -> Ints:
        return self.end - self.start

    def take(self, rows: Ints | Bools) -> Slices:
        return Slices(self.start[rows], self.end[rows])


@dataclass(frozen=True, slots=True)
class DecodedEntries:
    """Entries as columns. `line`, `name` and `value` are places in `buffer`.

    `offset` is NO_OFFSET where the sender did not say. Metadata is one flat list of pairs in the order
    sent; `pair_entry` (ascending) says to which entry a pair belongs.
    """

    buffer: bytes
    time_ns: Ints
    line: Slices
    offset: Ints
    pair_entry: Ints
    name: Slices
    value: Slices


def decode_entries(messages: Sequence[bytes]) -> DecodedEntries:
    """The columns of `messages`.

    Raises:
        PushSyntaxError: a message is not an `EntryAdapter`; `is_entry` tells which.
    """
    decoded, is_odd = _walk_entries(messages)
    if not is_odd.any():
        return decoded
    # protobuf reads the odd ones and writes them in the plain way; then all are walked again.
    plain = list(messages)
    for index in np.flatnonzero(is_odd).tolist():
        plain[index] = _in_plain_form(plain[index])
    return _walk_entries(plain)[0]


def is_entry(message: bytes) -> bool:
    """Whether protobuf reads `message` as an `EntryAdapter`."""
    try:
        _ENTRY.FromString(message)
    except DecodeError:
        return False
    return True


def _in_plain_form(message: bytes) -> bytes:
    try:
        entry = _ENTRY.FromString(message)
    except DecodeError:
        raise PushSyntaxError("an entry of the body is not a protobuf EntryAdapter") from None
    entry.DiscardUnknownFields()
    plain: bytes = entry.SerializeToString()
    return plain


def _walk_entries(messages: Sequence[bytes]) -> tuple[DecodedEntries, Bools]:
    count = len(messages)
    buffer = b"".join(chain(messages, (_PADDING,)))
    lengths = np.fromiter(map(len, messages), np.int64, count)
    end = np.cumsum(lengths)
    walk = _Walk(buffer, count)
    start = end - lengths
    entries = _Entries(walk, start)
    for field in walk.fields(np.arange(count), start, end):
        entries.read(field)
    return entries.decoded(buffer), walk.is_odd


@dataclass(frozen=True, slots=True)
class _Fields:
    """One field of each message in `rows`: a varint's `value`, or the bytes at [start, end)."""

    rows: Ints
    tag: Ints
    value: Ints
    start: Ints
    end: Ints

    def of(self, number: int, wire: int) -> _Fields | None:
        """Those that are field `number`; None when there are none."""
        found = self.tag == (number << 3 | wire)
        if found.all():
            return self
        return self.take(found) if found.any() else None

    def take(self, rows: Bools) -> _Fields:
        return _Fields(self.rows[rows], self.tag[rows], self.value[rows], self.start[rows], self.end[rows])


class _Walk:
    """Reads the fields of many messages in one padded buffer, and marks the entries it cannot read as odd."""

    def __init__(self, buffer: bytes, entries: int) -> None:
        self._octets = np.frombuffer(buffer, np.uint8)
        self.is_odd: Bools = np.zeros(entries, np.bool_)

    def fields(self, owner: Ints, start: Ints, end: Ints) -> Iterator[_Fields]:
        """The next field of each message at [start, end) that has one, until all have ended.

        `owner` is the entry of each message. What cannot be read ends its message.
        """
        rows = np.flatnonzero(start < end)
        place = start[rows]
        while rows.size:
            step, is_read = self._step(rows, place, end[rows])
            if not is_read.all():
                self.is_odd[owner[rows[~is_read]]] = True
                step = step.take(is_read)
            yield step
            goes_on = step.end < end[step.rows]
            rows, place = step.rows[goes_on], step.end[goes_on]

    def _step(self, rows: Ints, place: Ints, limit: Ints) -> tuple[_Fields, Bools]:
        tag, after_tag = self._varint(place)
        value, after_value = self._varint(after_tag)
        wire = tag & 7
        is_read = (after_tag - place <= _MAX_SHORT_VARINT_BYTES) & (tag >= 8) & (tag < 1 << 32)

        is_bytes = wire == _BYTES
        start, end = after_value, after_value
        if is_bytes.any():
            is_read &= ~is_bytes | (
                (after_value - after_tag <= _MAX_SHORT_VARINT_BYTES) & (value >= 0) & (value <= _MAX_LENGTH)
            )
            end = np.where(is_bytes, after_value + np.clip(value, 0, _MAX_LENGTH), end)
        if not is_bytes.all():
            is_fixed = (wire == _FIXED64) | (wire == _FIXED32)
            is_read &= is_bytes | is_fixed | ((wire == _VARINT) & self._ends(after_tag, after_value))
            end = np.where(is_fixed, after_tag + np.where(wire == _FIXED64, 8, 4), end)
        return _Fields(rows, tag, value, start, end), is_read & (end <= limit)

    def _ends(self, start: Ints, after: Ints) -> Bools:
        """Whether the varints at [start, after) are whole and fit into 64 bits."""
        last = self._octets[after - 1]
        ends: Bools = np.where(after - start < _MAX_VARINT_BYTES, last < 0x80, last <= 1)
        return ends

    def _varint(self, place: Ints) -> tuple[Ints, Ints]:
        octet = self._octets[place].astype(np.int64)
        value = octet & 0x7F
        after = place + 1
        rows = np.flatnonzero(octet >= 0x80)
        for shift in range(7, 7 * _MAX_VARINT_BYTES, 7):
            if not rows.size:
                break
            octet = self._octets[after[rows]].astype(np.int64)
            value[rows] |= (octet & 0x7F) << shift
            after[rows] += 1
            rows = rows[octet >= 0x80]
        return value, after


class _Entries:
    """Collects the fields of entries into columns. Of a field that is there twice, the last one counts.

    A line that is not there is an empty slice of its message, so that slices ascend.
    """

    def __init__(self, walk: _Walk, start: Ints) -> None:
        count = start.size
        self._walk = walk
        self._seconds = np.zeros(count, np.int64)
        self._nanos = np.zeros(count, np.int64)
        self._line = Slices(start.copy(), start.copy())
        self._offset = np.full(count, NO_OFFSET, np.int64)
        self._pairs: list[_Fields] = []

    def read(self, fields: _Fields) -> None:
        if times := fields.of(1, _BYTES):
            self._read_times(times)
        if lines := fields.of(2, _BYTES):
            self._line.start[lines.rows] = lines.start
            self._line.end[lines.rows] = lines.end
        if pairs := fields.of(3, _BYTES):
            self._pairs.append(pairs)
        if offsets := fields.of(OFFSET_FIELD, _VARINT):
            self._offset[offsets.rows] = offsets.value

    def _read_times(self, times: _Fields) -> None:
        for part in self._walk.fields(times.rows, times.start, times.end):
            if seconds := part.of(1, _VARINT):
                self._seconds[times.rows[seconds.rows]] = seconds.value
            if nanos := part.of(2, _VARINT):
                self._nanos[times.rows[nanos.rows]] = nanos.value.astype(np.int32)

    def decoded(self, buffer: bytes) -> DecodedEntries:
        time_ns = np.clip(self._seconds, -_MAX_SECONDS, _MAX_SECONDS) * _SECOND_NS + self._nanos
        owner, name, value = self._read_pairs()
        return DecodedEntries(buffer, time_ns, self._line, self._offset, owner, name, value)

    def _read_pairs(self) -> tuple[Ints, Slices, Slices]:
        owner = _concatenated([pairs.rows for pairs in self._pairs])
        order = np.argsort(owner, kind="stable")
        owner = owner[order]
        start = _concatenated([pairs.start for pairs in self._pairs])[order]
        end = _concatenated([pairs.end for pairs in self._pairs])[order]
        name, value = (Slices(start.copy(), start.copy()) for _ in range(2))
        for fields in self._walk.fields(owner, start, end):
            for number, column in ((1, name), (2, value)):
                if found := fields.of(number, _BYTES):
                    column.start[found.rows] = found.start
                    column.end[found.rows] = found.end
        return owner, name, value


def _concatenated(columns: list[Ints]) -> Ints:
    return np.concatenate(columns) if columns else np.zeros(0, np.int64)
