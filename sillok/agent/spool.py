"""The spool: batches on disk, in order, between the sources and the sender.

A folder of segments. A segment is a row of records; a record is a fixed head (magic, sequence number,
lengths, checksums), a header (what the batch covers) and a body (the bytes to send). A record counts
from the moment `append` returns: it is fsynced. Nothing is rewritten; a segment goes as a whole, once
all of it is settled and the positions that it carries stand elsewhere. What became of a batch is noted
in the file `settled`, which is not fsynced: a batch that is sent twice has the same id both times.

One thread appends, another reads and settles.
"""

from __future__ import annotations

import itertools
import os
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sillok.errors import SillokError

SEGMENT_BYTES = 8 * 1024 * 1024
MAX_RECORD_BYTES = 64 * 1024 * 1024  # A length above it is damage, not a batch.

_MAGIC = b"SLK1"
_HEAD = struct.Struct("<4sQIIII")  # magic, sequence, header bytes, body bytes, crc of header, crc of body
_CRC = struct.Struct("<I")
_HEAD_BYTES = _HEAD.size + _CRC.size
_SETTLED = struct.Struct("<QII")  # sequence, outcome bytes, crc of both and the outcome
_ENDING = ".spool"
_READ_BYTES = 1024 * 1024


class SpoolFull(SillokError):
    """The spool has no room, or its disk has none; sources wait."""


@dataclass(frozen=True, slots=True)
class Record:
    """A batch as it stands in the spool. A `body` of None is damaged; the header says what is lost with it."""

    sequence: int
    header: bytes
    body: bytes | None
    record_bytes: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """A record found at start, and what became of it when that is known already."""

    sequence: int
    header: bytes
    outcome: bytes | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a record stands: its segment (named by its first sequence number) and its first byte."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Head:
    sequence: int
    header_bytes: int
    body_bytes: int
    header_crc: int
    body_crc: int

    @property
    def record_bytes(self) -> int:
        return _HEAD_BYTES + self.header_bytes + self.body_bytes


class Spool:
    """`settled` and `last` are sequence numbers; what lies between them waits to be sent."""

    def __init__(self, folder: Path, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes, max(max_bytes // 4, 1))
        self._lock = threading.Lock()
        self._sizes: dict[int, int] = {}
        self._writing: int | None = None
        self._write_file: int | None = None
        self._reading: _Place | None = None
        self._settled_file: int | None = None
        self.settled = 0
        self.last = 0
        self.damaged_records = 0

    @property
    def used_bytes(self) -> int:
        return sum(self._sizes.values())

    @property
    def max_bytes(self) -> int:
        return self._max_bytes

    def has_room(self, size: int) -> bool:
        return self.used_bytes + size + _HEAD_BYTES <= self._max_bytes

    def open(self, *, spooled: int, settled: int, recover: Callable[[Recovered], None]) -> None:
        """Read what is there; `recover` gets every whole record, oldest first.

        `spooled` and `settled` are what the positions file knows; the spool never goes back behind them.
        A torn record at the end was never sent (sending waits for fsync): it is cut off.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._settled_file = os.open(self._folder / "settled", flags, 0o600)
        outcomes = self._read_settled()
        self.settled = max(settled, *outcomes, 0)
        self.last = max(spooled, self.settled)

        def hand_over(sequence: int, header: bytes) -> None:
            recover(Recovered(sequence, header, outcomes.get(sequence)))

        segments = sorted(int(path.stem, 16) for path in self._folder.glob(f"*{_ENDING}"))
        for segment in segments:
            self._recover_segment(segment, hand_over, is_last=segment == segments[-1])
        self._reading = next((_Place(segment, 0) for segment in sorted(self._sizes)), None)

    def append(self, header: bytes, body: bytes) -> int:
        """Write one record and return its number once it is on disk.

        Raises:
            SpoolFull: there is no room. Nothing was written.
        """
        size = _HEAD_BYTES + len(header) + len(body)
        if not self.has_room(size - _HEAD_BYTES):
            raise SpoolFull(f"the spool holds {self.used_bytes} of {self._max_bytes} bytes")
        sequence = self.last + 1
        try:
            self._write(sequence, header, body)
        except OSError as error:
            self._abandon_segment()
            raise SpoolFull(f"the spool cannot be written: {error.strerror}") from error
        with self._lock:
            assert self._writing is not None
            if self._reading is None:
                self._reading = _Place(self._writing, self._sizes[self._writing])
            self._sizes[self._writing] += size
            self.last = sequence
        return sequence

    def next(self) -> Record | None:
        """The oldest record that is not settled; the same one until `settle`."""
        while True:
            with self._lock:
                place, last = self._reading, self.last
            if place is None or self.settled >= last:
                return None
            found = self._read(place)
            if isinstance(found, _Place):
                self._move(found)
            elif found is None:
                return None
            elif found.sequence <= self.settled:
                self._move(_Place(place.segment, place.offset + found.record_bytes))
            else:
                return found

    def settle(self, record: Record, outcome: bytes) -> None:
        """`record` needs no sending any more; `outcome` says what became of it."""
        assert self._settled_file is not None
        assert self._reading is not None
        note = _SETTLED.pack(record.sequence, len(outcome), _settled_crc(record.sequence, outcome)) + outcome
        try:
            os.write(self._settled_file, note)
        except OSError:
            pass  # A full disk: after a kill this batch would be sent again, under the same id.
        self.settled = record.sequence
        self._move(_Place(self._reading.segment, self._reading.offset + record.record_bytes))

    def forget_settled(self) -> None:
        """The positions file knows all outcomes: the notes may go."""
        assert self._settled_file is not None
        os.ftruncate(self._settled_file, 0)

    def finished_segments(self) -> list[int]:
        """Segments all of whose records are settled and into which nothing is written any more."""
        with self._lock:
            segments = sorted(self._sizes)
            return [
                segment
                for segment, following in itertools.pairwise(segments)
                if following - 1 <= self.settled and segment != self._writing
            ]

    def remove(self, segments: list[int]) -> None:
        """Delete finished segments. Their positions must stand in the positions file before."""
        for segment in segments:
            self._path(segment).unlink(missing_ok=True)
            with self._lock:
                del self._sizes[segment]
        if segments:
            _sync_folder(self._folder)

    def close(self) -> None:
        for file in (self._write_file, self._settled_file):
            if file is not None:
                os.close(file)
        self._write_file = self._settled_file = None

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:016x}{_ENDING}"

    def _read_settled(self) -> dict[int, bytes]:
        assert self._settled_file is not None
        data = b""
        while block := os.pread(self._settled_file, _READ_BYTES, len(data)):
            data += block
        outcomes: dict[int, bytes] = {}
        offset = 0
        while offset + _SETTLED.size <= len(data):
            sequence, size, crc = _SETTLED.unpack_from(data, offset)
            outcome = data[offset + _SETTLED.size : offset + _SETTLED.size + size]
            if len(outcome) < size or _settled_crc(sequence, outcome) != crc:
                break
            outcomes[sequence] = outcome
            offset += _SETTLED.size + size
        if offset < len(data):
            os.ftruncate(self._settled_file, offset)
        return outcomes

    def _recover_segment(self, segment: int, recover: Callable[[int, bytes], None], *, is_last: bool) -> None:
        path = self._path(segment)
        size = path.stat().st_size
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            end = self._recover_records(file, size, recover, checks_bodies=is_last)
            if end < size:
                # Torn by a crash in the middle of a write: it never was a record.
                os.ftruncate(file, end)
                os.fsync(file)
        finally:
            os.close(file)
        if end == 0:
            path.unlink()
        else:
            self._sizes[segment] = end

    def _recover_records(
        self, file: int, size: int, recover: Callable[[int, bytes], None], *, checks_bodies: bool
    ) -> int:
        """Hand over the headers of all whole records; the place behind the last of them."""
        offset = end = 0
        damaged: list[tuple[int, bytes]] = []
        while offset < size:
            head = _read_head(file, offset, size)
            if head is None:
                offset = _find_head(file, offset + 1, size)
                continue
            header = os.pread(file, head.header_bytes, offset + _HEAD_BYTES)
            is_whole = zlib.crc32(header) == head.header_crc
            if checks_bodies and is_whole:
                body = os.pread(file, head.body_bytes, offset + _HEAD_BYTES + head.header_bytes)
                if zlib.crc32(body) != head.body_crc:
                    damaged.append((head.sequence, header))
                    is_whole = False
            offset += head.record_bytes
            if not is_whole:
                continue
            # What stands before a whole record was once whole itself: its lines are accounted for when it is read.
            for sequence, damaged_header in (*damaged, (head.sequence, header)):
                recover(sequence, damaged_header)
            damaged.clear()
            self.last = max(self.last, head.sequence)
            end = offset
        return end

    def _write(self, sequence: int, header: bytes, body: bytes) -> None:
        if self._writing is None or self._sizes[self._writing] >= self._segment_bytes:
            self._begin_segment(sequence)
        assert self._write_file is not None
        assert self._writing is not None
        head = _HEAD.pack(_MAGIC, sequence, len(header), len(body), zlib.crc32(header), zlib.crc32(body))
        parts = [head, _CRC.pack(zlib.crc32(head)), header, body]
        expected = _HEAD_BYTES + len(header) + len(body)
        if os.pwritev(self._write_file, parts, self._sizes[self._writing]) != expected:
            raise OSError(28, "no space left on the device")
        os.fdatasync(self._write_file)

    def _begin_segment(self, sequence: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        file = os.open(self._path(sequence), flags, 0o600)
        if self._write_file is not None:
            os.close(self._write_file)
        self._write_file = file
        with self._lock:
            self._writing = sequence
            self._sizes[sequence] = 0
        _sync_folder(self._folder)

    def _abandon_segment(self) -> None:
        """After a failed write nobody knows what is on disk: cut the segment and begin another one."""
        with self._lock:
            segment, self._writing = self._writing, None
            size = self._sizes.get(segment, 0) if segment is not None else 0
            if segment is not None and size == 0:
                self._sizes.pop(segment, None)
        if self._write_file is not None and segment is not None:
            try:
                os.ftruncate(self._write_file, size)
                if size == 0:
                    self._path(segment).unlink(missing_ok=True)
            except OSError:
                pass  # Recovery cuts it off as well.
            os.close(self._write_file)
            self._write_file = None

    def _move(self, place: _Place) -> None:
        with self._lock:
            self._reading = place

    def _read(self, place: _Place) -> Record | _Place | None:
        """The record at `place`; where to look instead; or None when there is nothing behind it yet."""
        with self._lock:
            size = self._sizes.get(place.segment, 0)
            following = min((segment for segment in self._sizes if segment > place.segment), default=None)
        if place.offset >= size:
            return None if following is None else _Place(following, 0)
        file = os.open(self._path(place.segment), os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = _read_head(file, place.offset, size)
            if head is None:
                return _Place(place.segment, _find_head(file, place.offset + 1, size))
            header = os.pread(file, head.header_bytes, place.offset + _HEAD_BYTES)
            body = os.pread(file, head.body_bytes, place.offset + _HEAD_BYTES + head.header_bytes)
        finally:
            os.close(file)
        if zlib.crc32(header) != head.header_crc:
            self.damaged_records += 1
            return _Place(place.segment, place.offset + head.record_bytes)
        if zlib.crc32(body) != head.body_crc:
            self.damaged_records += 1
            return Record(head.sequence, header, None, head.record_bytes)
        return Record(head.sequence, header, body, head.record_bytes)


def _settled_crc(sequence: int, outcome: bytes) -> int:
    return zlib.crc32(outcome, sequence & 0xFFFFFFFF)


def _read_head(file: int, offset: int, size: int) -> _Head | None:
    data = os.pread(file, _HEAD_BYTES, offset)
    if len(data) < _HEAD_BYTES or _CRC.unpack_from(data, _HEAD.size)[0] != zlib.crc32(data[: _HEAD.size]):
        return None
    magic, sequence, header_bytes, body_bytes, header_crc, body_crc = _HEAD.unpack_from(data)
    head = _Head(sequence, header_bytes, body_bytes, header_crc, body_crc)
    if magic != _MAGIC or head.record_bytes > MAX_RECORD_BYTES or offset + head.record_bytes > size:
        return None
    return head


def _find_head(file: int, offset: int, size: int) -> int:
    """The first place at or behind `offset` where a whole head stands; `size` when there is none."""
    while offset < size:
        data = os.pread(file, _READ_BYTES, offset)
        at = data.find(_MAGIC)
        while at >= 0:
            if _read_head(file, offset + at, size) is not None:
                return offset + at
            at = data.find(_MAGIC, at + 1)
        offset += max(len(data) - len(_MAGIC) + 1, 1)
    return size


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
