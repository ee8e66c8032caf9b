"""Reading the entries of a log query from the store: streams by the index, rows by walking windows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sillok.logql.plan import LogPlan
from sillok.model.timerange import TimeRange
from sillok.query.jobs import Job
from sillok.query.windowing import windows
from sillok.schema import logs
from sillok.sql.statement import Statement

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


def read_entries(job: Job, reading: Reading, sids: Collection[int]) -> list[pa.Table]:
    """Up to `limit` entries of the streams `sids`, as tables in the order of the answer."""
    if not sids:
        return []
    if reading.interval_ns:
        return _read_apart(job, reading, sids)
    found: list[pa.Table] = []
    missing = reading.limit
    for window in windows(reading.time_range, newest_first=reading.newest_first):
        rows = job.query(_lines(reading, sids, window, missing))
        if rows.num_rows:
            found.append(rows)
            missing -= rows.num_rows
        if missing <= 0:
            break
    return found


def _read_apart(job: Job, reading: Reading, sids: Collection[int]) -> list[pa.Table]:
    """Each entry taken decides where the next may be, over all streams, as in Loki's `readStreams`."""
    found: list[pa.Table] = []
    missing, rest = reading.limit, reading.time_range
    while missing > 0 and rest.start_ns < rest.end_ns:
        last_ns: int | None = None
        for window in windows(rest, newest_first=reading.newest_first):
            rows = job.query(_lines(reading, sids, window, PAGE_ROWS))
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


def _lines(reading: Reading, sids: Collection[int], window: TimeRange, limit: int) -> Statement:
    return logs.select_lines(
        reading.tenant,
        window,
        sids=sids,
        where=reading.plan.where,
        limit=limit,
        newest_first=reading.newest_first,
    )
