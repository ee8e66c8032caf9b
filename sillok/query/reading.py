"""Reading the entries of a log query from the store: streams by the index, rows by walking windows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sillok.logql.plan import LogPlan
from sillok.model.matcher import Matcher
from sillok.model.timerange import TimeRange
from sillok.query.jobs import Job
from sillok.query.windowing import FIRST_NS, GROWTH, GROWTH_WHEN_RARE, cut, windows
from sillok.schema import logs
from sillok.sql.statement import Statement
from sillok.store.streams import StreamIndex

if TYPE_CHECKING:
    import pyarrow as pa

PAGE_ROWS = 10_000  # of a query with an interval, which skips most of what it reads


@dataclass(frozen=True, slots=True)
class Reading:
    """What a log query asks of one tenant. `interval_ns`: entries at least so far apart, 0 for all."""

    tenant: str
    plan: LogPlan
    time_range: TimeRange
    limit: int
    newest_first: bool
    interval_ns: int = 0


@dataclass(frozen=True, slots=True)
class Selected:
    """The streams that the matchers chose; `is_everything`: they are all that the tenant has."""

    sids: frozenset[int]
    is_everything: bool

    @classmethod
    def by(cls, streams: StreamIndex, tenant: str, matchers: Sequence[Matcher]) -> Selected:
        # Counted first: a stream that comes in between makes a part of what was everything, not the reverse.
        count = streams.count(tenant)
        sids = streams.select(tenant, matchers)
        return cls(sids, len(sids) >= count)


def read_entries(job: Job, reading: Reading, selected: Selected) -> list[pa.Table]:
    """Up to `limit` entries of the selected streams, as tables in the order of the answer."""
    if not selected.sids:
        return []
    if reading.interval_ns:
        return _read_apart(job, reading, selected)
    found: list[pa.Table] = []
    missing, rest, width_ns = reading.limit, reading.time_range, FIRST_NS
    is_filtered = reading.plan.where is not None
    while missing > 0 and rest.start_ns < rest.end_ns:
        window, rest = cut(rest, width_ns, newest_first=reading.newest_first)
        # A filter that did not fill the answer from the first window keeps few.
        keeps_few = is_filtered and width_ns > FIRST_NS
        rows = _read(job, reading, selected, window, missing, keeps_few=keeps_few)
        if rows.num_rows:
            found.append(rows)
            missing -= rows.num_rows
        width_ns *= GROWTH_WHEN_RARE if is_filtered and not rows.num_rows else GROWTH
    return found


def _read_apart(job: Job, reading: Reading, selected: Selected) -> list[pa.Table]:
    """Each entry taken decides where the next may be, over all streams, as in Loki's `readStreams`."""
    found: list[pa.Table] = []
    missing, rest = reading.limit, reading.time_range
    while missing > 0 and rest.start_ns < rest.end_ns:
        last_ns: int | None = None
        for window in windows(rest, newest_first=reading.newest_first):
            rows = _read(job, reading, selected, window, PAGE_ROWS)
            if not rows.num_rows:
                continue
            times = rows.column("ts").to_numpy()
            taken = _apart(times, reading.interval_ns, missing, newest_first=reading.newest_first)
            found.append(rows.take(taken))
            missing -= len(taken)
            last_ns = int(times[taken[-1]])
            break
        if last_ns is None:
            break
        rest = _beyond(rest, last_ns, reading.interval_ns, newest_first=reading.newest_first)
    return found


def _apart(times: npt.NDArray[np.int64], interval_ns: int, limit: int, *, newest_first: bool) -> list[int]:
    """Positions of entries at least `interval_ns` from the one taken before, the first one first."""
    distance = times[0] - times if newest_first else times - times[0]
    taken: list[int] = []
    position = 0
    while position < len(distance) and len(taken) < limit:
        taken.append(position)
        position = int(np.searchsorted(distance, distance[position] + interval_ns))
    return taken


def _beyond(rest: TimeRange, last_ns: int, interval_ns: int, *, newest_first: bool) -> TimeRange:
    if newest_first:
        return TimeRange(rest.start_ns, last_ns - interval_ns + 1)
    return TimeRange(last_ns + interval_ns, rest.end_ns)


def _read(
    job: Job, reading: Reading, selected: Selected, window: TimeRange, limit: int, *, keeps_few: bool = False
) -> pa.Table:
    if selected.is_everything:
        # Testing each row for one of all streams costs a tenth of a needle's search.
        rows = job.query(_lines(reading, None, window, limit, keeps_few=keeps_few))
        if selected.sids.issuperset(rows.column("sid").unique().to_pylist()):
            return rows
        # A stream came in after the selection, and nobody asked whether it matches.
    return job.query(_lines(reading, selected.sids, window, limit, keeps_few=keeps_few))


def _lines(
    reading: Reading, sids: Collection[int] | None, window: TimeRange, limit: int, *, keeps_few: bool
) -> Statement:
    return logs.select_lines(
        reading.tenant,
        window,
        sids=sids,
        where=reading.plan.where,
        limit=limit,
        newest_first=reading.newest_first,
        keeps_few=keeps_few,
    )
