"""Docker's fragments joined to lines, stream by stream (stdout and stderr may interleave)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from sillok.agent.batch import Batch
from sillok.agent.labels import StreamLabels
from sillok.agent.levels import level_of
from sillok.agent.sources.formats import MAX_LINE_BYTES, PART
from sillok.wire.docker_logs import Fragment


@dataclass(slots=True)
class _Open:
    """A line whose end has not come. Its time and place are those of its first fragment."""

    time_ns: int
    offset: int
    text: bytes
    part: int = 0
    level: str | None = None


@dataclass(slots=True)
class Lines:
    """Takes fragments, adds lines to a batch. What is open is kept with the position."""

    source: str
    labels: StreamLabels
    _open: dict[str, _Open] = field(default_factory=dict)

    def add(self, fragment: Fragment, offset: int, batch: Batch) -> None:
        """`offset` is the place of `fragment` in its source."""
        opened = self._open.get(fragment.stream)
        if opened is None:
            if fragment.ends_line:
                self._send(fragment.time_ns, offset, fragment.text, (), level_of(fragment.text), batch)
            else:
                self._open[fragment.stream] = _Open(fragment.time_ns, offset, fragment.text)
            return
        if len(opened.text) + len(fragment.text) > MAX_LINE_BYTES:
            self._send_part(opened, batch)
            opened.offset, opened.text = offset, b""
        opened.text += fragment.text
        if fragment.ends_line:
            self._end(self._open.pop(fragment.stream), batch)

    def finish(self, batch: Batch) -> None:
        """Nothing more comes: what is open is all there is of it."""
        for opened in self._open.values():
            self._end(opened, batch)
        self._open.clear()

    def as_json(self) -> dict[str, Any]:
        return {
            stream: [
                opened.time_ns,
                opened.offset,
                base64.b64encode(opened.text).decode(),
                opened.part,
                opened.level,
            ]
            for stream, opened in self._open.items()
        }

    def restore(self, kept: dict[str, Any]) -> None:
        self._open = {
            stream: _Open(time_ns, offset, base64.b64decode(text), part, level)
            for stream, (time_ns, offset, text, part, level) in kept.items()
        }

    def _end(self, opened: _Open, batch: Batch) -> None:
        if opened.part == 0:
            self._send(opened.time_ns, opened.offset, opened.text, (), level_of(opened.text), batch)
            return
        number = opened.part + 1
        self._send(opened.time_ns, opened.offset, opened.text, ((PART, f"{number}/{number}"),), opened.level, batch)

    def _send_part(self, opened: _Open, batch: Batch) -> None:
        if opened.part == 0:
            opened.level = level_of(opened.text)
        opened.part += 1
        self._send(opened.time_ns, opened.offset, opened.text, ((PART, f"{opened.part}"),), opened.level, batch)

    def _send(
        self,
        time_ns: int,
        offset: int,
        text: bytes,
        metadata: tuple[tuple[str, str], ...],
        level: str | None,
        batch: Batch,
    ) -> None:
        line = text.removesuffix(b"\r")
        batch.stream(self.labels.text(level)).append((time_ns, line, metadata, offset))
        batch.count(self.source, lines=1, line_bytes=len(text))
