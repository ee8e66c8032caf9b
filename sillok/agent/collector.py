"""The collecting half: look at all sources, read in turns, batch, spool. One thread, no event loop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from sillok.agent.batch import Batch
from sillok.agent.custody import Custody, Sealed
from sillok.agent.notices import Notices
from sillok.agent.spool import SpoolFull

SHARE_BYTES = 512 * 1024  # What one source may take before it is another one's turn.
RETRY_S = 1.0
MAX_TURN_S = 0.5  # A turn ends then, so that a stop is not kept waiting.


class Source(Protocol):
    """Something that has lines: a path with its rotations, a container.

    `read` takes at most about `budget` bytes; `settle` is called instead when there is nothing to read.
    """

    source: str

    @property
    def has_more(self) -> bool: ...

    def read(self, batch: Batch, budget: int) -> None: ...

    def settle(self, batch: Batch) -> None: ...


class Sources(Protocol):
    """A family of sources. `look` finds new ones and sees which have lines."""

    def look(self, batch: Batch) -> None: ...

    def ended(self) -> Iterable[str]:
        """Names of sources that are gone for good since the last call."""
        ...

    def each(self) -> Iterable[Source]: ...

    def close(self) -> None: ...


class Collector:
    """`turn` does a bounded piece of work; call it again at once when it says there is more."""

    def __init__(
        self,
        families: list[Sources],
        custody: Custody,
        notices: Notices,
        *,
        batch_bytes: int,
        batch_wait_s: float,
        poll_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._families = families
        self._custody = custody
        self._notices = notices
        self._batch_bytes = batch_bytes
        self._batch_wait_s = batch_wait_s
        self._poll_s = poll_s
        self._monotonic = monotonic
        self._batch = Batch()
        self._opened_at: float | None = None
        self._sealed: Sealed | None = None
        self._waiting: deque[Source] = deque()
        self._next_look = 0.0
        self._retry_at = 0.0
        self._counted: dict[str, int] = {}
        self.is_paused = False

    def turn(self) -> bool:
        """Look, read, spool. True when there is more to do right now."""
        now = self._monotonic()
        if self._sealed is not None and (now < self._retry_at or not self._put(self._sealed)):
            self.is_paused = True
            return False
        if now >= self._next_look:
            self._look(now)
        is_paused = not self._custody.spool.has_room(2 * self._batch_bytes)
        self._say_paused(is_paused)
        if not is_paused:
            self._read(now + MAX_TURN_S)
        now = self._monotonic()
        if self._is_due(now):
            self._seal()
        return bool(self._waiting) and self._sealed is None and not is_paused

    def stop(self) -> None:
        """Spool what was read. What cannot be spooled now was not read: it will be again."""
        if self._sealed is None or self._put(self._sealed):
            self._seal()
        for family in self._families:
            family.close()

    def _look(self, now: float) -> None:
        for family in self._families:
            family.look(self._batch)
            for gone in family.ended():
                self._custody.ledger.retire(gone)
        self._waiting.clear()
        for family in self._families:
            for source in family.each():
                if source.has_more:
                    self._waiting.append(source)
                else:
                    source.settle(self._batch)
        if not self._batch.has_lines and not self._batch.is_empty:
            self._seal()
        ended = self._monotonic()
        self._next_look = ended + max(self._poll_s, (ended - now) * 10)

    def _read(self, until: float) -> None:
        while self._waiting and self._batch.size < self._batch_bytes and self._monotonic() < until:
            source = self._waiting.popleft()
            source.read(self._batch, min(SHARE_BYTES, self._batch_bytes - self._batch.size))
            self._count_read(source.source)
            if source.has_more:
                self._waiting.append(source)

    def _count_read(self, source: str) -> None:
        lines = self._batch.lines_of(source)
        new = lines - self._counted.get(source, 0)
        if new:
            self._custody.ledger.read(source, new)
            self._counted[source] = lines

    def _is_due(self, now: float) -> bool:
        if not self._batch.has_lines:
            return False
        if self._opened_at is None:
            self._opened_at = now
        return self._batch.size >= self._batch_bytes or now - self._opened_at >= self._batch_wait_s

    def _seal(self) -> None:
        for source in self._batch.sources:
            self._count_read(source)
        batch, self._batch = self._batch, Batch()
        self._opened_at = None
        self._counted = {}
        if batch.has_lines:
            self._sealed = batch.seal()
            self._put(self._sealed)
        elif not batch.is_empty:
            # A path seen for the first time: were that forgotten, its next rotation would look like an old one.
            self._custody.move(*batch.positions())
            try:
                self._custody.checkpoint()
            except OSError as error:
                self._notices.state("positions", f"the positions cannot be written: {error}")

    def _put(self, sealed: Sealed) -> bool:
        try:
            self._custody.put(sealed)
        except SpoolFull as error:
            self._notices.state("spool", f"{error}; sources wait")
            self._retry_at = self._monotonic() + RETRY_S
            return False
        self._notices.over("spool", "the spool takes lines again")
        self._sealed = None
        return True

    def _say_paused(self, is_paused: bool) -> None:
        self.is_paused = is_paused
        spool = self._custody.spool
        if is_paused:
            self._notices.state(
                "paused", f"the spool is full ({spool.used_bytes} of {spool.max_bytes} bytes): sources wait"
            )
        else:
            self._notices.over("paused", "the spool has room again: sources are read")
