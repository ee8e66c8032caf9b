"""Custody of lines, from the moment they are read until the store has answered for them.

Spool, positions and ledger must always agree; this is the only place that changes more than one of
them. The order of every change is what makes a kill at any point harmless:

1. A batch goes into the spool with the positions it reaches and its lines by source (fsync).
2. Only then are the positions and the ledger moved, in memory.
3. An answer is noted in the spool, then the ledger is moved.
4. A checkpoint writes positions and ledger as of one moment; only then may segments go.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sillok.agent import positions
from sillok.agent.ledger import Ledger, Outcome
from sillok.agent.spool import Record, Recovered, Spool
from sillok.model.origin import BATCH_ID_BYTES

_log = logging.getLogger("sillok.agent")

SPOOL_CORRUPT = "spool_corrupt"  # Reason: the disk gave back other bytes than were written.


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch ready for the spool: the bytes to send, what they cover, and where reading goes on after them."""

    body: bytes
    lines: dict[str, int]
    sizes: dict[str, int]
    positions: dict[str, Any]
    forgotten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A spooled batch that is to be sent. Its id belongs to its bytes: a retry has the same."""

    record: Record
    batch: str
    lines: dict[str, int]

    @property
    def line_count(self) -> int:
        return sum(self.lines.values())


class Custody:
    """`positions` is how far every source is safely in the spool, by position id. Sources read it at start."""

    def __init__(self, folder: Path, *, spool_bytes: int) -> None:
        self._folder = folder
        self._path = folder / "positions.json"
        self._lock = threading.Lock()
        self.spool = Spool(folder / "spool", max_bytes=spool_bytes)
        self.ledger = Ledger()
        self.positions: dict[str, Any] = {}
        self.agent = ""
        self._spooled = 0
        self._is_changed = False

    def open(self) -> None:
        """Find out where we were: the checkpoint, then what the spool says happened after it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        checkpoint = self._load()
        self.agent = checkpoint.agent
        self.positions = dict(checkpoint.positions)
        self.ledger.restore(checkpoint.ledger)
        self._spooled = checkpoint.spooled

        def recover(found: Recovered) -> None:
            header = orjson.loads(found.header)
            lines: dict[str, int] = header["lines"]
            if found.sequence > checkpoint.spooled:
                self._move_positions(header["positions"], header["forgotten"])
                self.ledger.recovered(lines, header["sizes"])
                self._spooled = found.sequence
            if found.sequence > checkpoint.settled and found.outcome is not None:
                self.ledger.sending(lines)
                self.ledger.settled(lines, Outcome(*orjson.loads(found.outcome)))

        self.spool.open(spooled=checkpoint.spooled, settled=checkpoint.settled, recover=recover)
        self._is_changed = True
        self.checkpoint()

    def put(self, sealed: Sealed) -> None:
        """Take a batch over: when this returns, it is on disk and its positions count.

        Raises:
            SpoolFull: no room; nothing changed.
        """
        identity = hashlib.blake2b(self.agent.encode(), digest_size=BATCH_ID_BYTES)
        identity.update((self.spool.last + 1).to_bytes(8, "little"))
        identity.update(sealed.body)
        header = {
            "batch": identity.hexdigest(),
            "lines": sealed.lines,
            "sizes": sealed.sizes,
            "positions": sealed.positions,
            "forgotten": sealed.forgotten,
        }
        sequence = self.spool.append(orjson.dumps(header), sealed.body)
        with self._lock:
            self._move_positions(sealed.positions, sealed.forgotten)
            self.ledger.spooled(sealed.lines, sealed.sizes)
            self._spooled = sequence
            self._is_changed = True

    def move(self, moved: dict[str, Any], forgotten: tuple[str, ...] = ()) -> None:
        """Positions that change without a line: a new file, one that is gone. Kept at the next checkpoint."""
        with self._lock:
            self._move_positions(moved, forgotten)
            self._is_changed = True

    def next(self) -> Waiting | None:
        """The oldest batch that waits. One that is damaged on disk is accounted for and left behind."""
        while (record := self.spool.next()) is not None:
            header = orjson.loads(record.header)
            waiting = Waiting(record, header["batch"], header["lines"])
            if record.body is not None:
                return waiting
            _log.error("a batch of %d lines is damaged on disk and cannot be sent", waiting.line_count)
            self.ledger.sending(waiting.lines)
            self.settle(waiting, Outcome(dropped={SPOOL_CORRUPT: waiting.line_count}))
        return None

    def settle(self, waiting: Waiting, outcome: Outcome) -> None:
        """`waiting` (announced to the ledger as being sent) has its answer."""
        noted = orjson.dumps([outcome.stored, dict(outcome.dropped), dict(outcome.refused)])
        with self._lock:
            self.spool.settle(waiting.record, noted)
            self.ledger.settled(waiting.lines, outcome)
            self._is_changed = True

    def checkpoint(self) -> None:
        """Write down where we are, and let go of the segments that are done."""
        with self._lock:
            if not self._is_changed:
                return
            self._is_changed = False
            settled = self.spool.settled
            kept = positions.Checkpoint(self.agent, self._spooled, settled, dict(self.positions), self.ledger.kept())
            segments = self.spool.finished_segments()
        try:
            positions.save(self._path, kept)
        except OSError:
            self._is_changed = True
            raise
        self.spool.remove(segments)
        with self._lock:
            if self.spool.settled == settled:
                self.spool.forget_settled()

    def close(self) -> None:
        self.checkpoint()
        self.spool.close()

    def _move_positions(self, moved: dict[str, Any], forgotten: tuple[str, ...] | list[str]) -> None:
        self.positions.update(moved)
        for position in forgotten:
            self.positions.pop(position, None)

    def _load(self) -> positions.Checkpoint:
        try:
            found = positions.load(self._path)
        except positions.DamagedPositions as error:
            damaged = self._path.with_suffix(".damaged")
            self._path.rename(damaged)
            _log.error(
                "%s cannot be trusted (%s): it is kept as %s, and all sources are read again from the start",
                self._path,
                error,
                damaged.name,
            )
            found = None
        return found or positions.Checkpoint(agent=secrets.token_hex(8))
