"""Old lines go: whole days are dropped, and streams that are kept shorter than others are deleted from a day.

A day goes when all of it is older than the period, so a line is kept for its period and up to a day more.
Dropping a day is cheap and frees its room at once; deleting streams from a day rewrites its parts, and is
done once a day and stream, when the stream's period ends within a day that others still keep.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sillok import telemetry
from sillok.model.limits import Limits
from sillok.model.matcher import Matcher
from sillok.schema import parts
from sillok.schema.ddl import Placement
from sillok.schema.logs import DAY_NS
from sillok.store.engine import Engine
from sillok.store.settings import StoreSettings
from sillok.store.streams import StreamIndex

MAX_DELETION_S = 600  # a deletion that finds no room for the rewritten parts would wait for ever

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Expired:
    """What one run removed."""

    days: int = 0
    lines: int = 0


class Retention:
    """`matchers` reads a selector's text, `{app="a"}`; `limits` are those of a tenant. One run at a time."""

    def __init__(
        self,
        engine: Engine,
        streams: StreamIndex,
        *,
        limits: Callable[[str], Limits],
        matchers: Callable[[str], Sequence[Matcher]],
        settings: StoreSettings | None = None,
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._limits = limits
        self._matchers = matchers
        self._placement = Placement((settings or StoreSettings()).cluster)
        self._seen: dict[int, tuple[int, int]] = {}  # day -> the state of its parts and the day it was looked at

    def run(self, now_ns: int) -> Expired:
        """Remove what is older than its period. Blocks; minutes when much is to be rewritten.

        Raises:
            StoreFull: there is no room to rewrite parts in. Whole days were dropped by then.
        """
        today = now_ns // DAY_NS
        found = self._engine.query(parts.days(self._placement)).to_pydict()
        days = list(zip(found["day"], found["lines"], found["state"], strict=True))
        periods = _Periods(self._streams, self._limits, self._matchers)
        removed = Expired()
        partly: list[tuple[int, dict[str, list[int]]]] = []
        for day, lines, state in days:
            if self._seen.get(day) == (state, today):
                continue
            gone, kept = self._of_day(day, now_ns, periods)
            if gone and not kept:
                self._engine.execute(parts.drop_day(self._placement, day))
                removed = Expired(removed.days + 1, removed.lines + lines)
            elif gone:
                partly.append((day, gone))
            else:
                self._seen[day] = (state, today)
        # What needs room comes last, when the dropped days have made some.
        for day, gone in partly:
            removed = Expired(removed.days, removed.lines + self._delete(day, gone))
        if removed.lines:
            telemetry.EXPIRED_LINES.inc(removed.lines)
            _log.info("retention removed %d lines, %d whole days", removed.lines, removed.days)
        return removed

    def _of_day(self, day: int, now_ns: int, periods: _Periods) -> tuple[dict[str, list[int]], bool]:
        """The streams by tenant whose lines of this day are to go, and whether others stay."""
        age_ns = now_ns - (day + 1) * DAY_NS
        if not periods.any_ended(age_ns):
            return {}, True
        present = self._engine.query(parts.streams_of_day(day)).to_pydict()
        gone: dict[str, list[int]] = defaultdict(list)
        is_kept = False
        for tenant, sid in zip(present["tenant"], present["sid"], strict=True):
            if periods.ended(tenant, sid, age_ns):
                gone[tenant].append(sid)
            else:
                is_kept = True
        return gone, is_kept

    def _delete(self, day: int, gone: Mapping[str, Sequence[int]]) -> int:
        before = self._lines(day)
        for tenant, sids in gone.items():
            # Awaited: the next statement, and the count, see the rows gone.
            self._engine.execute(
                parts.delete_from_day(self._placement, day, tenant, sids),
                settings={"mutations_sync": 2, "max_execution_time": MAX_DELETION_S},
            )
        return before - self._lines(day)

    def _lines(self, day: int) -> int:
        found = self._engine.query(parts.days(self._placement)).to_pydict()
        return int(dict(zip(found["day"], found["lines"], strict=True)).get(day, 0))


class _Periods:
    """How long each stream is kept: the rule with the highest priority that matches it, else its tenant's period."""

    def __init__(
        self,
        streams: StreamIndex,
        limits: Callable[[str], Limits],
        matchers: Callable[[str], Sequence[Matcher]],
    ) -> None:
        self._by_tenant: dict[str, tuple[int, dict[int, int]]] = {}
        self._limits = limits
        self._matchers = matchers
        self._streams = streams
        for tenant in streams.tenants():
            self._of(tenant)

    def any_ended(self, age_ns: int) -> bool:
        """Whether anything at all is kept for less than `age_ns`."""
        return any(0 < period <= age_ns for usual, own in self._by_tenant.values() for period in (usual, *own.values()))

    def ended(self, tenant: str, sid: int, age_ns: int) -> bool:
        usual, own = self._of(tenant)
        return 0 < own.get(sid, usual) <= age_ns  # 0: for ever

    def _of(self, tenant: str) -> tuple[int, dict[int, int]]:
        if tenant not in self._by_tenant:
            self._by_tenant[tenant] = self._worked_out(tenant)
        return self._by_tenant[tenant]

    def _worked_out(self, tenant: str) -> tuple[int, dict[int, int]]:
        limits = self._limits(tenant)
        own: dict[int, int] = {}
        for rule in sorted(limits.retention_stream, key=lambda rule: rule.priority):
            for sid in self._streams.select(tenant, self._matchers(rule.selector)):
                own[sid] = rule.period_ns
        return limits.retention_period_ns, own
