"""What the lines of a file are: plain text, or Docker's JSON around the application's line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sillok.agent.batch import Batch
from sillok.agent.clock import LineClock
from sillok.agent.labels import StreamLabels
from sillok.agent.levels import level_of
from sillok.agent.sources.epochs import Epoch
from sillok.wire.loki_push import SentEntry

MAX_LINE_BYTES = 256 * 1024  # Loki's default `max_line_size`.
PART = "line_part"  # Structured metadata of a piece of a line that was too long: "1", "2", "3/3".


class Format(Protocol):
    """Turns lines of a file into entries. State that must outlive the process goes into `epoch.extra`."""

    def take(self, lines: list[bytes], offset: int, epoch: Epoch, batch: Batch) -> None:
        """Add `lines`, the first of which begins at `offset` and all of which were ended by a newline."""
        ...

    def take_part(self, piece: bytes, offset: int, epoch: Epoch, batch: Batch, *, is_last: bool) -> None:
        """Add a piece of a line that is too long to be sent as one. `epoch.part` says which."""
        ...

    def resume(self, epochs: list[Epoch]) -> None:
        """A new process goes on with `epochs`, which may keep something in `extra`."""
        ...

    def finish(self, epoch: Epoch, batch: Batch) -> None:
        """No more bytes will come: add what is still open."""
        ...


@dataclass(slots=True)
class PlainLines:
    """A line is a line. Its time is when it was read, as with promtail without a timestamp stage."""

    source: str
    labels: StreamLabels
    clock: LineClock

    def take(self, lines: list[bytes], offset: int, epoch: Epoch, batch: Batch) -> None:
        time_ns = self.clock.reserve(len(lines))
        appenders: dict[str | None, Callable[[SentEntry], None]] = {}
        line_bytes = 0
        for line in lines:
            level = level_of(line)
            append = appenders.get(level)
            if append is None:
                append = appenders[level] = batch.stream(self.labels.text(level)).append
            size = len(line)
            append((time_ns, line[:-1] if line[-1:] == b"\r" else line, (), offset))
            line_bytes += size
            offset += size + 1
            time_ns += 1
        batch.count(self.source, lines=len(lines), line_bytes=line_bytes)

    def take_part(self, piece: bytes, offset: int, epoch: Epoch, batch: Batch, *, is_last: bool) -> None:
        if epoch.part == 0:
            epoch.extra["level"] = level_of(piece)
        number = epoch.part + 1
        metadata = ((PART, f"{number}/{number}" if is_last else f"{number}"),)
        stream = batch.stream(self.labels.text(epoch.extra.get("level")))
        stream.append((self.clock.reserve(1), piece.removesuffix(b"\r") if is_last else piece, metadata, offset))
        batch.count(self.source, lines=1, line_bytes=len(piece))
        epoch.part = 0 if is_last else number
        if is_last:
            epoch.extra.pop("level", None)

    def resume(self, epochs: list[Epoch]) -> None:
        pass

    def finish(self, epoch: Epoch, batch: Batch) -> None:
        pass
