"""A file that grows, and what rotation makes of it.

A `FollowedFile` is a path. Behind the path stands one file at a time (the current one); files that stood
there before (renamed, deleted, found compressed or copied) are read to their end first. Polled, not
watched: polling works on every file system, and a `stat` every quarter of a second costs nothing.

Source:  promtail clients/pkg/promtail/targets/file, grafana/tail
Differs: promtail loses what is written between its last look and a second rotation, and the rest of a
    file that was rotated while it was down; both are read here.
"""

from __future__ import annotations

import bisect
import logging
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from sillok.agent.batch import Batch
from sillok.agent.notices import Notices
from sillok.agent.sources.epochs import HEAD_BYTES, TAIL_BYTES, UNREADABLE, Bytes, Epoch, GzipBytes, Mark, PlainBytes
from sillok.agent.sources.formats import MAX_LINE_BYTES, Format
from sillok.agent.sources.rotation import is_compressed, is_rotation

READ_BYTES = 2 * MAX_LINE_BYTES  # A line of full length and its end always fit into one block.
LEAST_READ_BYTES = 64 * 1024
BINARY_PROBE_BYTES = 1024
QUIET_S = 10.0  # A rotated file that did not grow for so long is done; it is looked at again if it grows.
SETTLE_NS = 2_000_000_000  # A file that changed just now may still be being copied or compressed.
MAX_SETTLE_S = 20.0
IDLE_CLOSE_S = 60.0
RETRY_S = 5.0
KEPT_EPOCHS = 8  # Rotations of one path that a compressed copy may still turn out to be.
SIBLINGS = "siblings:"  # Position ids: epochs have their own id, a path's known rotations this and the path.


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every followed file shares. `positions` is as kept; `first_sight_bytes` bounds old files."""

    positions: Callable[[], dict[str, Any]]
    notices: Notices
    first_sight_bytes: int
    monotonic: Callable[[], float] = time.monotonic
    now_ns: Callable[[], int] = time.time_ns


@dataclass(slots=True)
class _Reading:
    """One epoch being read. `tail` is what stood before the position, to see that it still does."""

    epoch: Epoch
    where: str
    data: Bytes | None = None
    tail: bytes = b""
    size: int = 0  # as seen by the last look
    held_size: int = -1  # at this size there was no whole line left
    changed_ns: int = 0
    grew_at: float = 0.0
    is_done: bool = False

    @property
    def has_more(self) -> bool:
        return not self.is_done and self.size > self.epoch.offset and self.size != self.held_size


@dataclass(slots=True)
class FollowedFile:
    """`poll` looks, `read` takes lines, `scan` finds rotations; all from one thread.

    `reads_rotations` says whether a rotation that is already there when the path is first seen is read
    (it is named by a glob itself, or is a container's log) or left alone; `is_another` whether a path that
    looks like a rotation is a source of its own (`worker-1.log` beside `worker.log`).
    """

    path: str
    source: str
    format: Format
    around: Surroundings
    reads_rotations: Callable[[str], bool]
    is_another: Callable[[str], bool]
    current: _Reading | None = None
    _older: list[_Reading] = field(default_factory=list)
    _epochs: list[Epoch] = field(default_factory=list)
    _known: dict[int, Mark] = field(default_factory=dict)  # by inode: rotations that need no reading
    _unsettled: dict[int, float] = field(default_factory=dict)
    _is_first_sight: bool = True
    _retry_at: float = 0.0
    _moved: set[str] = field(default_factory=set)
    _forgotten: list[str] = field(default_factory=list)
    absent_since: float | None = None

    def __post_init__(self) -> None:
        self._restore()

    # What a scheduler asks.

    @property
    def has_more(self) -> bool:
        return any(reading.has_more for reading in self._readable())

    @property
    def is_drained(self) -> bool:
        """Nothing stands behind the path, and all that stood there was read."""
        return self.current is None and not self._older

    @property
    def needs_scan(self) -> bool:
        return bool(self._unsettled) or self._is_first_sight

    def owns(self, inode: int) -> bool:
        return inode in self._known or any(epoch.inode == inode for epoch in self._epochs)

    def poll(self) -> bool:
        """Look at the path and at rotated files; True when the path's file was exchanged or truncated."""
        now = self.around.monotonic()
        is_rotated = False
        if now >= self._retry_at:
            is_rotated = self._poll_path(now)
        for reading in self._older:
            self._look(reading, now)
        return is_rotated

    def read(self, batch: Batch, budget: int) -> None:
        """Take up to about `budget` bytes of lines into `batch`, the oldest file first."""
        for reading in self._readable():
            if reading.has_more:
                self._read(reading, batch, budget)
                break
        self._finish_quiet(batch)
        self._save(batch)

    def settle(self, batch: Batch) -> None:
        """Nothing to read: close what is done, keep what changed."""
        self._finish_quiet(batch)
        self._save(batch)

    def scan(self, names: Sequence[str]) -> None:
        """Find rotations of this path among the sorted `names` of its folder."""
        folder, own = os.path.split(self.path)
        stem = own.rpartition(".")[0] or own
        found: list[tuple[int, str, os.stat_result]] = []
        for at in range(bisect.bisect_left(names, stem), len(names)):
            name = names[at]
            if not name.startswith(stem):
                break
            path = f"{folder}/{name}"
            if not is_rotation(name, own) or self.is_another(path):
                continue
            try:
                status = os.stat(path)  # noqa: PTH116 - a hot path of plain text
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                found.append((status.st_mtime_ns, path, status))
        present = {status.st_ino for _, _, status in found}
        for gone in [inode for inode in self._known if inode not in present]:
            del self._known[gone]
            self._moved.add(SIBLINGS)
        self._unsettled = {inode: since for inode, since in self._unsettled.items() if inode in present}
        for _, path, status in sorted(found, key=lambda item: item[0]):
            self.meet(path, status)
        if self.current is not None or found:
            if self._is_first_sight:
                self._moved.add(SIBLINGS)
            self._is_first_sight = False

    def meet(self, path: str, status: os.stat_result) -> None:
        """A file that may be an older one of this path: decide whether anything in it is unread."""
        inode = status.st_ino
        if not status.st_size or (self.current is not None and inode == self.current.epoch.inode):
            return
        for reading in self._older:
            if reading.epoch.inode == inode or reading.where == path:
                reading.where = path
                return
        try:
            if self._knows(path, status):
                return
            if self._is_first_sight and not self._epochs_of(inode) and not self.reads_rotations(path):
                self._know(path, status)
            elif self._is_settled(path, status):
                self._meet(path, status)
        except UNREADABLE as error:
            # A compressed file that is still being written, or not readable at all: the next scan tries again.
            self.around.notices.state(f"unreadable:{path}", f"{path} cannot be read: {_reason(error)}", repeats=False)

    def adopt(self, data: Bytes) -> None:
        """Begin with a file that somebody opened before it could vanish."""
        now = self.around.monotonic()
        status = data.status()
        if self.current is not None or self._epochs_of(status.st_ino):
            data.close()
            return
        self.current = _Reading(self._new_epoch(status), self.path, data, grew_at=now)
        self._note(self.current, status, now)

    def close(self) -> None:
        for reading in self._readings():
            _close(reading)

    # Beginning and ending of readings.

    def _readable(self) -> list[_Reading]:
        """Older files first; the current one waits while a rotation is found that may be older and unread."""
        return self._older if self._unsettled else self._readings()

    def _readings(self) -> list[_Reading]:
        return [*self._older, self.current] if self.current is not None else self._older

    def _restore(self) -> None:
        positions = self.around.positions()
        kept = positions.get(SIBLINGS + self.path)
        if kept is not None:
            self._known = {inode: Mark(*mark) for inode, *mark in kept["known"]}
            for identity in kept["epochs"]:
                if identity in positions:
                    self._epochs.append(Epoch.from_json(identity, positions[identity]))
            self._is_first_sight = False
        seen = {epoch.id for epoch in self._epochs}
        for identity, position in positions.items():
            if position.get("path") == self.path and "offset" in position and identity not in seen:
                self._epochs.append(Epoch.from_json(identity, position))
                self._is_first_sight = False
        self.format.resume(self._epochs)

    def _poll_path(self, now: float) -> bool:
        try:
            status = os.stat(self.path)  # noqa: PTH116 - a hot path of plain text
        except (FileNotFoundError, NotADirectoryError):
            return self._path_is_gone(now)
        except OSError as error:
            self._deny(error, now)
            return False
        self.absent_since = None
        current = self.current
        if current is None:
            self._begin(status, now)
            return False
        if status.st_ino != current.epoch.inode or status.st_dev != current.epoch.device:
            self._put_aside(current)
            self._begin(status, now)
            return True
        if self._is_overwritten(current, status):
            self._lose(current)
            self._begin(status, now)
            return True
        self._note(current, status, now)
        if current.data is not None and not current.has_more and now - current.grew_at > IDLE_CLOSE_S:
            _close(current)
        return False

    def _is_overwritten(self, reading: _Reading, status: os.stat_result) -> bool:
        if is_compressed(self.path) or status.st_size > reading.epoch.offset:
            return False  # If it grew, reading it tells.
        if status.st_size < reading.epoch.offset:
            return True
        if status.st_mtime_ns == reading.changed_ns:
            return False
        try:
            data = reading.data or _open(self.path)
        except OSError:
            return False
        try:
            return not reading.epoch.recognises(data)
        finally:
            if data is not reading.data:
                data.close()

    def _path_is_gone(self, now: float) -> bool:
        if self.absent_since is None:
            self.absent_since = now
        if self.current is None:
            return False
        self._put_aside(self.current)
        return True

    def _put_aside(self, reading: _Reading) -> None:
        self.current = None
        if reading.data is None or reading.is_done:
            # Idle and closed: it had nothing unread when last seen. If it did grow, a scan finds it by its inode.
            return
        if self._is_overwritten(reading, reading.data.status()):
            _close(reading)  # Truncated before it was renamed: a scan finds what it is now.
            self._doubt_copies(reading)
            return
        reading.grew_at = self.around.monotonic()
        reading.held_size = -1
        self._older.append(reading)

    def _lose(self, reading: _Reading) -> None:
        """Truncated or overwritten. What was unread may still stand in a copy."""
        _close(reading)
        self.current = None
        self._doubt_copies(reading)

    def _doubt_copies(self, reading: _Reading) -> None:
        for inode in [inode for inode, mark in self._known.items() if mark.size > reading.epoch.offset]:
            del self._known[inode]

    def _begin(self, status: os.stat_result, now: float) -> None:
        if not stat.S_ISREG(status.st_mode):
            return
        try:
            data = _open(self.path)
            epoch = self._recognise(data, status) or self._new_epoch(status)
        except UNREADABLE as error:
            self._deny(error, now)
            return
        self.around.notices.over(f"unreadable:{self.path}", f"{self.path} can be read now")
        epoch.device, epoch.inode, epoch.is_finished = status.st_dev, status.st_ino, False
        self.current = _Reading(epoch, self.path, data, grew_at=now)
        self._resume(self.current)
        self._note(self.current, status, now)

    def _recognise(self, data: Bytes, status: os.stat_result) -> Epoch | None:
        size = None if is_compressed(self.path) else status.st_size
        for epoch in reversed(self._epochs):
            if epoch.inode == status.st_ino and epoch.recognises(data, size=size):
                return epoch
        return None

    def _epochs_of(self, inode: int) -> list[Epoch]:
        return [epoch for epoch in self._epochs if epoch.inode == inode]

    def _new_epoch(self, status: os.stat_result) -> Epoch:
        epoch = Epoch.new(self.path, status, now_ns=self.around.now_ns())
        if self._is_first_sight and status.st_size > self.around.first_sight_bytes and not is_compressed(self.path):
            epoch.offset = status.st_size - self.around.first_sight_bytes
            epoch.extra["skips_line"] = True
            self.around.notices.state(
                f"skipped:{self.path}",
                f"{self.path} has {status.st_size} bytes when first seen: only the last"
                f" {self.around.first_sight_bytes} are read",
                repeats=False,
            )
        self._epochs.append(epoch)
        self._moved.add(epoch.id)
        self._moved.add(SIBLINGS)
        return epoch

    def _resume(self, reading: _Reading) -> None:
        data, epoch = reading.data, reading.epoch
        assert data is not None
        tail_bytes = min(TAIL_BYTES, epoch.offset)
        reading.tail = data.read(epoch.offset - tail_bytes, tail_bytes)

    def _meet(self, path: str, status: os.stat_result) -> None:
        inode, size = status.st_ino, status.st_size
        data = _open(path)
        keeps_open = False
        try:
            plain_size = None if is_compressed(path) else size
            epoch = next(
                (epoch for epoch in reversed(self._epochs) if epoch.offset and epoch.recognises(data, size=plain_size)),
                None,
            )
            followed = {id(reading.epoch) for reading in self._readings()}
            if epoch is not None and id(epoch) in followed:
                if self.current is not None and epoch is self.current.epoch:
                    self._know(path, status)  # A copy of what is being read; `_lose` looks at it again.
                return
            if epoch is not None and epoch.offset == plain_size:
                self._know(path, status)
                return
            if epoch is None:
                if any(_begins_alike(data, reading) for reading in self._readings()):
                    return  # Perhaps a copy of what is about to be read: the next scan knows.
                epoch = self._new_epoch(status)
            reading = _Reading(epoch, path, data, size=size, grew_at=self.around.monotonic())
            epoch.device, epoch.inode, epoch.is_finished = status.st_dev, inode, False
            if plain_size is None:
                reading.size = epoch.offset + 1  # Nobody knows before reading it.
            self._resume(reading)
            self._older.append(reading)
            keeps_open = True
        finally:
            if not keeps_open:
                data.close()

    def _is_settled(self, path: str, status: os.stat_result) -> bool:
        inode = status.st_ino
        if self._epochs_of(inode) or self.around.now_ns() - status.st_mtime_ns > SETTLE_NS:
            self._unsettled.pop(inode, None)
            return True
        if is_compressed(path):
            return False  # Being compressed takes long, and what is in it was mostly read already.
        now = self.around.monotonic()
        if now - self._unsettled.setdefault(inode, now) > MAX_SETTLE_S:
            self._unsettled.pop(inode)
            return True
        return False

    def _knows(self, path: str, status: os.stat_result) -> bool:
        mark = self._known.get(status.st_ino)
        return mark is not None and mark.fits(path, status)

    def _know(self, path: str, status: os.stat_result) -> None:
        self._known[status.st_ino] = Mark.of(path, status)
        self._moved.add(SIBLINGS)

    # Looking and reading.

    def _note(self, reading: _Reading, status: os.stat_result, now: float) -> None:
        if is_compressed(reading.where):
            if status.st_mtime_ns != reading.changed_ns:
                reading.changed_ns, reading.size, reading.grew_at = status.st_mtime_ns, reading.epoch.offset + 1, now
            return
        if status.st_mtime_ns != reading.changed_ns:
            reading.changed_ns, reading.held_size = status.st_mtime_ns, -1
        if status.st_size != reading.size:
            reading.size, reading.grew_at = status.st_size, now

    def _look(self, reading: _Reading, now: float) -> None:
        if reading.data is None:
            return
        try:
            self._note(reading, reading.data.status(), now)
        except OSError:
            pass

    def _read(self, reading: _Reading, batch: Batch, budget: int) -> None:
        size = max(min(budget, READ_BYTES), LEAST_READ_BYTES)
        try:
            block = self._block(reading, size)
            if block is not None and len(block) == size < READ_BYTES and b"\n" not in block:
                size = READ_BYTES
                block = self._block(reading, size)
            if block is None:
                self._abandon(reading)
                return
            self._advance(reading, block, batch, is_at_end=len(block) < size)
        except UNREADABLE as error:
            self._deny(error, self.around.monotonic(), reading)

    def _block(self, reading: _Reading, size: int) -> bytes | None:
        """The next bytes; None when what stands before them is not what was read."""
        epoch = reading.epoch
        if reading.data is None:
            reading.data = _open(reading.where)
            if not epoch.recognises(reading.data, size=None if is_compressed(reading.where) else reading.size):
                return None
            self._resume(reading)
        before = len(reading.tail)
        block = reading.data.read(epoch.offset - before, before + size)
        return block[before:] if block[:before] == reading.tail else None

    def _advance(self, reading: _Reading, block: bytes, batch: Batch, *, is_at_end: bool) -> None:
        epoch, start = reading.epoch, reading.epoch.offset
        if epoch.is_text or self._is_text(reading, block):
            taken = self._take(epoch, block[epoch.offset - start :], batch)
            if taken:
                epoch.offset += taken
                assert reading.data is not None
                reading.tail = epoch.remember(reading.data.read)
        if epoch.offset != start:
            self._moved.add(epoch.id)
        if is_compressed(reading.where):
            reading.size = epoch.offset if is_at_end else epoch.offset + 1
        elif epoch.offset == start:
            reading.held_size = reading.size

    def _is_text(self, reading: _Reading, block: bytes) -> bool:
        """Judge the first bytes. A hole (left by truncating under a writer) is stepped over."""
        epoch = reading.epoch
        assert reading.data is not None
        bare = block.lstrip(b"\0")
        if len(bare) < len(block):
            epoch.offset += len(block) - len(bare)
            epoch.offset = reading.data.skip_hole(epoch.offset) if not bare else epoch.offset
            reading.tail = b""
        if not bare:
            return False
        if b"\0" in bare[:BINARY_PROBE_BYTES] or bare[:2] in (b"\xff\xfe", b"\xfe\xff"):
            text = f"{reading.where} is not text: it is not read"
            self.around.notices.state(f"binary:{reading.where}", text, level=logging.INFO, repeats=False)
            reading.is_done = True
            _close(reading)
            return False
        epoch.is_text = True
        return True

    def _take(self, epoch: Epoch, block: bytes, batch: Batch) -> int:
        """Hand whole lines to the format; how many bytes that were."""
        end = block.rfind(b"\n") + 1
        if end == 0:
            return self._take_part(epoch, block, batch) if len(block) > MAX_LINE_BYTES + 1 else 0
        taken = 0
        if epoch.part or epoch.extra.get("skips_line"):
            taken = block.find(b"\n") + 1
            if taken > MAX_LINE_BYTES + 2:
                return self._take_part(epoch, block, batch)
            if epoch.extra.pop("skips_line", None) is None:
                self.format.take_part(block[: taken - 1], epoch.offset, epoch, batch, is_last=True)
        if taken == end:
            return taken
        lines = block[taken : end - 1].split(b"\n")
        if end - taken > MAX_LINE_BYTES and max(map(len, lines)) > MAX_LINE_BYTES + 1:
            return taken + self._take_one_by_one(epoch, lines, epoch.offset + taken, batch)
        self.format.take(lines, epoch.offset + taken, epoch, batch)
        return end

    def _take_one_by_one(self, epoch: Epoch, lines: list[bytes], offset: int, batch: Batch) -> int:
        start = offset
        for line in lines:
            if len(line) <= MAX_LINE_BYTES + 1:
                self.format.take([line], offset, epoch, batch)
            else:
                rest = line
                while len(rest) > MAX_LINE_BYTES:
                    size = _part_bytes(rest)
                    self.format.take_part(rest[:size], offset + len(line) - len(rest), epoch, batch, is_last=False)
                    rest = rest[size:]
                self.format.take_part(rest, offset + len(line) - len(rest), epoch, batch, is_last=True)
            offset += len(line) + 1
        return offset - start

    def _take_part(self, epoch: Epoch, block: bytes, batch: Batch) -> int:
        """A line without an end that is too long to wait for it."""
        size = _part_bytes(block)
        if not epoch.extra.get("skips_line"):
            self.format.take_part(block[:size], epoch.offset, epoch, batch, is_last=False)
        return size

    def _finish_quiet(self, batch: Batch) -> None:
        """Rotated files that are read to their end and did not grow for a while are done."""
        now = self.around.monotonic()
        for reading in [*self._older]:
            if reading.has_more:
                continue
            is_quiet = is_compressed(reading.where) or now - reading.grew_at > QUIET_S
            if is_quiet or reading.is_done:
                self._finish(reading, batch)

    def _finish(self, reading: _Reading, batch: Batch) -> None:
        epoch = reading.epoch
        if reading.data is not None:
            try:
                rest = reading.data.read(epoch.offset, READ_BYTES)
            except UNREADABLE:
                rest = b""
            if rest and epoch.is_text and b"\n" not in rest:
                if epoch.part:
                    self.format.take_part(rest, epoch.offset, epoch, batch, is_last=True)
                else:
                    self.format.take([rest], epoch.offset, epoch, batch)
                epoch.offset += len(rest)
                epoch.remember(reading.data.read)
            self.format.finish(epoch, batch)
            try:
                status = os.stat(reading.where)  # noqa: PTH116 - plain text
                if status.st_ino == epoch.inode:
                    self._know(reading.where, status)
            except OSError:
                pass
        _close(reading)
        epoch.is_finished = True
        self._older.remove(reading)
        self._moved.add(epoch.id)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        followed = {id(reading.epoch) for reading in self._readings()}
        idle = [epoch for epoch in self._epochs if id(epoch) not in followed]
        read = [epoch for epoch in idle if epoch.offset]
        useless = [epoch for epoch in idle if not epoch.offset]
        for epoch in [*useless, *read[: max(0, len(read) - KEPT_EPOCHS)]]:
            self._epochs.remove(epoch)
            self._moved.discard(epoch.id)
            self._forgotten.append(epoch.id)

    def _abandon(self, reading: _Reading) -> None:
        """Other bytes stand where ours stood: it was truncated and grew beyond our position."""
        if reading is self.current:
            self._lose(reading)
            self._retry_at = 0.0
        else:
            _close(reading)
            reading.is_done = True
            self._doubt_copies(reading)

    def _deny(self, error: Exception, now: float, reading: _Reading | None = None) -> None:
        path = self.path if reading is None else reading.where
        self.around.notices.state(f"unreadable:{path}", f"{path} cannot be read: {_reason(error)}", repeats=False)
        self._retry_at = now + RETRY_S
        if reading is not None:
            reading.held_size = reading.size

    def forget(self, batch: Batch) -> None:
        """The path is gone for good: its positions need not be kept."""
        for epoch in self._epochs:
            batch.forget(epoch.id)
        batch.forget(SIBLINGS + self.path)

    def _save(self, batch: Batch) -> None:
        if not self._moved and not self._forgotten:
            return
        for epoch in self._epochs:
            if epoch.id in self._moved:
                batch.move(epoch.id, epoch.as_json())
        if SIBLINGS in self._moved:
            known = [(inode, *astuple(mark)) for inode, mark in sorted(self._known.items())]
            batch.move(SIBLINGS + self.path, {"known": known, "epochs": [epoch.id for epoch in self._epochs]})
        self._moved.clear()
        for identity in self._forgotten:
            batch.forget(identity)
        self._forgotten.clear()


def _open(path: str) -> Bytes:
    return GzipBytes(path) if is_compressed(path) else PlainBytes(path)


def _close(reading: _Reading) -> None:
    if reading.data is not None:
        reading.data.close()
        reading.data = None


def _begins_alike(data: Bytes, reading: _Reading) -> bool:
    """Whether `data` may hold the same as a file that was opened and not read yet."""
    if reading.epoch.offset or reading.data is None:
        return False
    first, second = data.read(0, HEAD_BYTES), reading.data.read(0, HEAD_BYTES)
    size = min(len(first), len(second))
    return size > 0 and first[:size] == second[:size]


def _part_bytes(line: bytes) -> int:
    """Where to cut a line that is too long: at its limit, but not within a character of UTF-8."""
    size = MAX_LINE_BYTES
    while size > MAX_LINE_BYTES - 4 and line[size] & 0xC0 == 0x80:
        size -= 1
    return size


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
