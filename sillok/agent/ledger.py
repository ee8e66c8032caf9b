"""The collector's sums: what became of every line, source by source.

    read = stored + dropped{reason} + refused{reason} + spooled + in flight

`in_flight` are lines read and not yet in the spool, and those of the batch that is being sent.
The sums are kept with the positions and carried by the spool, so that they survive a kill as exactly
as the positions do.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_SOURCES = 10_000
MAX_RETIRED = 200  # Sources that are gone and still listed.
OTHERS = "(others)"  # Takes the sums of sources beyond these bounds.


@dataclass(slots=True)
class Sums:
    """Lines of one source. `read_bytes` counts the bytes of those that reached the spool."""

    read: int = 0
    read_bytes: int = 0
    stored: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    spooled: int = 0
    sending: int = 0
    open: int = 0

    @property
    def in_flight(self) -> int:
        return self.open + self.sending

    @property
    def is_moving(self) -> bool:
        return bool(self.spooled or self.sending or self.open)

    @property
    def is_balanced(self) -> bool:
        settled = self.stored + sum(self.dropped.values()) + sum(self.refused.values())
        return self.read == settled + self.spooled + self.in_flight

    def add(self, other: Sums) -> None:
        self.read += other.read
        self.read_bytes += other.read_bytes
        self.stored += other.stored
        self.spooled += other.spooled
        self.sending += other.sending
        self.open += other.open
        for own, reasons in ((self.dropped, other.dropped), (self.refused, other.refused)):
            for reason, count in reasons.items():
                own[reason] = own.get(reason, 0) + count

    def as_json(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "read_bytes": self.read_bytes,
            "stored": self.stored,
            "dropped": self.dropped,
            "refused": self.refused,
            "spooled": self.spooled,
            "in_flight": self.in_flight,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one batch: its lines by fate. Their sum is the batch's lines."""

    stored: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)


class Ledger:
    """Sums by source; every move of lines goes through here. Called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, Sums] = {}
        self._retired: dict[str, None] = {}

    def retire(self, source: str) -> None:
        """`source` is gone. The sums of those that went long ago are kept together."""
        with self._lock:
            self._retired.pop(source, None)
            self._retired[source] = None
            settled = [name for name in self._retired if (sums := self._sums.get(name)) and not sums.is_moving]
            for name in settled[: max(0, len(settled) - MAX_RETIRED)]:
                del self._retired[name]
                self._sums.setdefault(OTHERS, Sums()).add(self._sums.pop(name))

    def read(self, source: str, lines: int) -> None:
        """`lines` of `source` came into the open batch."""
        with self._lock:
            self._retired.pop(source, None)
            sums = self._of(source)
            sums.read += lines
            sums.open += lines

    def spooled(self, lines: Mapping[str, int], sizes: Mapping[str, int]) -> None:
        """The open batch went into the spool."""
        with self._lock:
            for source, count in lines.items():
                sums = self._of(source)
                sums.open -= count
                sums.spooled += count
                sums.read_bytes += sizes.get(source, 0)

    def recovered(self, lines: Mapping[str, int], sizes: Mapping[str, int]) -> None:
        """A batch was found in the spool that the kept sums do not know."""
        with self._lock:
            for source, count in lines.items():
                sums = self._of(source)
                sums.read += count
                sums.read_bytes += sizes.get(source, 0)
                sums.spooled += count

    def sending(self, lines: Mapping[str, int]) -> None:
        with self._lock:
            for source, count in lines.items():
                sums = self._of(source)
                sums.spooled -= count
                sums.sending += count

    def settled(self, lines: Mapping[str, int], outcome: Outcome) -> None:
        """The batch that was being sent has its answer.

        A receipt speaks of the batch. Where several sources share one and some of it was refused, each
        source gets its share by lines (largest remainder): the sum is exact, the split is an estimate.
        """
        fates = [("stored", "", outcome.stored)]
        fates += [("dropped", reason, count) for reason, count in outcome.dropped.items()]
        fates += [("refused", reason, count) for reason, count in outcome.refused.items()]
        with self._lock:
            left = dict(lines)
            for source, count in lines.items():
                self._of(source).sending -= count
            for at, (fate, reason, count) in enumerate(fates):
                shares = left if at == len(fates) - 1 else _shares(left, count)
                for source, share in shares.items():
                    self._add(source, fate, reason, share)
                left = {source: rest - shares.get(source, 0) for source, rest in left.items()}

    def unsent(self, lines: Mapping[str, int]) -> None:
        """The batch that was being sent got no answer; it waits in the spool again."""
        with self._lock:
            for source, count in lines.items():
                sums = self._of(source)
                sums.sending -= count
                sums.spooled += count

    def total(self) -> Sums:
        total = Sums()
        with self._lock:
            for sums in self._sums.values():
                total.add(sums)
        return total

    def by_source(self) -> dict[str, Sums]:
        with self._lock:
            return {
                source: Sums(
                    sums.read,
                    sums.read_bytes,
                    sums.stored,
                    dict(sums.dropped),
                    dict(sums.refused),
                    sums.spooled,
                    sums.sending,
                    sums.open,
                )
                for source, sums in self._sums.items()
            }

    def kept(self) -> dict[str, Any]:
        """What the positions file keeps. The open batch is left out: it is read again after a kill."""
        return {
            source: [sums.read - sums.open, sums.read_bytes, sums.stored, sums.dropped, sums.refused]
            for source, sums in self.by_source().items()
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        with self._lock:
            for source, (read, read_bytes, stored, dropped, refused) in kept.items():
                sums = self._of(source)
                sums.read, sums.read_bytes, sums.stored = read, read_bytes, stored
                sums.dropped, sums.refused = dict(dropped), dict(refused)
                sums.spooled = read - stored - sum(dropped.values()) - sum(refused.values())

    def _of(self, source: str) -> Sums:
        sums = self._sums.get(source)
        if sums is None:
            if len(self._sums) >= MAX_SOURCES:
                return self._sums.setdefault(OTHERS, Sums())
            sums = self._sums[source] = Sums()
        return sums

    def _add(self, source: str, fate: str, reason: str, count: int) -> None:
        if not count:
            return
        sums = self._of(source)
        if fate == "stored":
            sums.stored += count
        else:
            reasons = sums.dropped if fate == "dropped" else sums.refused
            reasons[reason] = reasons.get(reason, 0) + count


def _shares(lines: Mapping[str, int], count: int) -> dict[str, int]:
    """`count` split over the sources in proportion to their lines, in whole lines that sum up to it."""
    total = sum(lines.values())
    if total == 0 or count == 0:
        return {}
    shares = {source: own * count // total for source, own in lines.items()}
    missing = count - sum(shares.values())
    by_remainder = sorted(lines, key=lambda source: (-(lines[source] * count % total), source))
    for source in by_remainder[:missing]:
        shares[source] += 1
    return shares
