"""The collecting half of the agent in one process, with a clock that tests move and no network."""

from __future__ import annotations

import time
from pathlib import Path

from sillok.agent.clock import LineClock
from sillok.agent.collector import Collector
from sillok.agent.custody import Custody
from sillok.agent.ledger import Outcome
from sillok.agent.notices import Notices
from sillok.agent.settings import FileSource
from sillok.agent.sources.file import Surroundings
from sillok.agent.sources.files import Files
from tests.agent.store import Line, decode

MIB = 1024 * 1024


class Desk:
    """`collect` moves the clock, lets the collector work until it rests, and gives the lines of that time."""

    def __init__(
        self,
        folder: Path,
        *sources: FileSource,
        batch_bytes: int = MIB,
        spool_bytes: int = 64 * MIB,
        first_sight_bytes: int = 1 << 40,
    ) -> None:
        self.folder = folder
        self.sources = sources
        self.batch_bytes = batch_bytes
        self.spool_bytes = spool_bytes
        self.first_sight_bytes = first_sight_bytes
        self.offset_s = 0.0
        self.taken: list[Line] = []
        self.takes = True
        self._start()

    def monotonic(self) -> float:
        return time.monotonic() + self.offset_s

    def now_ns(self) -> int:
        return time.time_ns() + int(self.offset_s * 10**9)

    def collect(self, advance_s: float = 6.0) -> list[Line]:
        """Two rounds, so that what the first one finds is settled and read in the second."""
        before = len(self.taken)
        for _ in range(2):
            self.offset_s += advance_s / 2
            while self.collector.turn():
                self.deliver()
            self.offset_s += 1.0
            self.collector.turn()
            self.deliver()
        return self.taken[before:]

    def deliver(self) -> None:
        """Play the sender and the store."""
        while self.takes and (waiting := self.custody.next()) is not None:
            assert waiting.record.body is not None
            lines = decode(waiting.record.body)
            assert len(lines) == waiting.line_count
            self.custody.ledger.sending(waiting.lines)
            self.custody.settle(waiting, Outcome(stored=len(lines)))
            self.taken += lines

    def stop(self) -> None:
        self.collector.stop()
        self.deliver()
        self.custody.close()

    def restart(self, *, kill: bool = False) -> None:
        """In order, or as if killed: what is only in memory is gone."""
        if kill:
            self.files.close()
            self.custody.spool.close()
        else:
            self.stop()
        self._start()

    def texts(self) -> list[bytes]:
        return [line.text for line in self.taken]

    def _start(self) -> None:
        self.notices = Notices(self.monotonic)
        self.custody = Custody(self.folder, spool_bytes=self.spool_bytes)
        self.custody.open()
        around = Surroundings(
            lambda: self.custody.positions, self.notices, self.first_sight_bytes, self.monotonic, self.now_ns
        )
        self.files = Files(self.sources, "host-a", LineClock(), around, own=(f"{self.folder}/",))
        self.collector = Collector(
            [self.files],
            self.custody,
            self.notices,
            batch_bytes=self.batch_bytes,
            batch_wait_s=0.5,
            poll_s=0.25,
            monotonic=self.monotonic,
        )
