"""Epochs: which bytes a position belongs to.

A path is not an identity: logs are renamed, copied and truncated, compressed, and inodes are reused.
An epoch is one growing row of bytes. It is recognised by device and inode *and* by what we read of it:
its first bytes and the last bytes before the position. So a file that was truncated and grew beyond the
position is seen to be another one, and a copy or a compressed copy of what we read is seen to be the same.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

HEAD_BYTES = 256
TAIL_BYTES = 64
SKIP_BYTES = 1024 * 1024


class Bytes(Protocol):
    """What a file holds: `read(offset, size)` gives less than `size` at its end, b"" behind it."""

    def read(self, offset: int, size: int) -> bytes: ...

    def skip_hole(self, offset: int) -> int:
        """The first place at or behind `offset` where data may stand; `offset` itself when unknown."""
        ...

    def status(self) -> os.stat_result: ...

    def close(self) -> None: ...


class PlainBytes:
    """A file as it stands. The descriptor keeps the bytes alive when the file is renamed or deleted."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self.file, size, offset)

    def skip_hole(self, offset: int) -> int:
        try:
            return os.lseek(self.file, offset, os.SEEK_DATA)
        except OSError:
            return offset

    def status(self) -> os.stat_result:
        return os.fstat(self.file)

    def close(self) -> None:
        os.close(self.file)


class GzipBytes:
    """What a gzip'd file holds. Reading goes forward; a step back begins again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = gzip.open(path, "rb")  # noqa: SIM115 - lives as long as this object
        self._kept = b""
        self._kept_offset = 0

    def read(self, offset: int, size: int) -> bytes:
        """Raises: EOFError, OSError, zlib.error when the file is cut short or damaged."""
        if offset < self._kept_offset:
            self.close()
            self.__init__(self._path)  # type: ignore[misc]
        while self._kept_offset + len(self._kept) < offset:
            self._kept_offset += len(self._kept)
            self._kept = self._file.read(min(SKIP_BYTES, offset - self._kept_offset))
            if not self._kept:
                return b""
        self._kept = self._kept[offset - self._kept_offset :]
        self._kept_offset = offset
        if len(self._kept) < size:
            self._kept += self._file.read(size - len(self._kept))
        return self._kept[:size]

    def skip_hole(self, offset: int) -> int:
        return offset

    def status(self) -> os.stat_result:
        return os.fstat(self._file.fileno())

    def close(self) -> None:
        self._file.close()


UNREADABLE = (OSError, EOFError, zlib.error)  # gzip.BadGzipFile is an OSError


@dataclass(frozen=True, slots=True)
class Mark:
    """A file that needs no reading. Inodes are reused, so its size, time and edges are kept as well."""

    size: int
    mtime_ns: int
    edges: str

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> Mark:
        data = PlainBytes(path)
        try:
            tail_bytes = min(TAIL_BYTES, status.st_size)
            edges = data.read(0, HEAD_BYTES) + data.read(status.st_size - tail_bytes, tail_bytes)
        finally:
            data.close()
        return cls(status.st_size, status.st_mtime_ns, _digest(edges, len(edges)))

    def fits(self, path: str, status: os.stat_result) -> bool:
        if status.st_size != self.size:
            return False
        return status.st_mtime_ns == self.mtime_ns or Mark.of(path, status).edges == self.edges


@dataclass(slots=True)
class Epoch:
    """How far one row of bytes was read. `extra` belongs to the format (docker's open fragments)."""

    id: str
    path: str  # The path that it is called by (label `filename`); renaming does not change it.
    device: int
    inode: int
    offset: int = 0
    part: int = 0  # Parts of the line at `offset` that were sent already (a very long line).
    is_text: bool = False
    is_finished: bool = False
    head: tuple[int, str] = (0, "")  # bytes, digest
    tail: tuple[int, str] = (0, "")
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def new(cls, path: str, status: os.stat_result, *, now_ns: int) -> Epoch:
        name = f"{path}\0{status.st_dev}\0{status.st_ino}\0{now_ns}"
        identity = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        return cls(identity, path, status.st_dev, status.st_ino)

    @classmethod
    def from_json(cls, identity: str, kept: dict[str, Any]) -> Epoch:
        return cls(
            identity,
            kept["path"],
            kept["device"],
            kept["inode"],
            kept["offset"],
            kept["part"],
            kept["is_text"],
            kept["is_finished"],
            tuple(kept["head"]),
            tuple(kept["tail"]),
            kept["extra"],
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "device": self.device,
            "inode": self.inode,
            "offset": self.offset,
            "part": self.part,
            "is_text": self.is_text,
            "is_finished": self.is_finished,
            "head": self.head,
            "tail": self.tail,
            "extra": self.extra,
        }

    @property
    def file_id(self) -> tuple[int, int]:
        return self.device, self.inode

    def recognises(self, data: Bytes, *, size: int | None = None) -> bool:
        """Whether `data` begins with what was read of this epoch. `size` spares reading what is too short."""
        if size is not None and size < self.offset:
            return False
        head_bytes, head = self.head
        tail_bytes, tail = self.tail
        if head_bytes and _digest(data.read(0, head_bytes), head_bytes) != head:
            return False
        return not tail_bytes or _digest(data.read(self.offset - tail_bytes, tail_bytes), tail_bytes) == tail

    def remember(self, read: Callable[[int, int], bytes]) -> bytes:
        """Note what the bytes before `offset` look like, after it moved; the last of them."""
        if self.head[0] < HEAD_BYTES:
            head = read(0, min(HEAD_BYTES, self.offset))
            self.head = (len(head), _digest(head, len(head)))
        tail_bytes = min(TAIL_BYTES, self.offset)
        tail = read(self.offset - tail_bytes, tail_bytes)
        self.tail = (tail_bytes, _digest(tail, tail_bytes))
        return tail


def _digest(data: bytes, size: int) -> str:
    if len(data) != size:
        return "short"
    return hashlib.blake2b(data, digest_size=8).hexdigest()
