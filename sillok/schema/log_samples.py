"""Numbers out of logs: entries and bytes, by series and window.

Overlapping windows are summed up from buckets by the caller: a bucket is as wide as the greatest common
divisor of step and range, so that every window is a whole number of buckets. Windows that leave gaps between
them are one bucket each, and what lies in a gap is not read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.schema.tables import LOGS
from sillok.sql import render
from sillok.sql.expr import Bound, Column, Expr, Named, call
from sillok.sql.select import Select
from sillok.sql.statement import Statement


@dataclass(frozen=True, slots=True)
class Buckets:
    """Bucket `i` holds the times t with `first_end_ns + (i-1)·width_ns < t <= first_end_ns + i·width_ns`.

    `keep_ns`, when it is less than the width, leaves only the last part of each bucket.
    """

    first_end_ns: int
    width_ns: int
    keep_ns: int


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What makes two entries one series: a number per stream, keys of the metadata, or all of it, and the level.

    `series` gives each stream its number; None: the stream itself.
    """

    series: Mapping[int, int] | None
    metadata: Sequence[str] = ()
    has_all_metadata: bool = False
    has_level: bool = False


def select_samples(
    tenant: str,
    time_range: TimeRange,
    *,
    sids: Collection[int],
    where: Expr | None,
    key: SeriesKey,
    buckets: Buckets,
) -> Statement:
    """Columns: series uint64, meta0…, [meta map], [level], bucket int64, lines uint64, bytes uint64."""
    groups = [Named(_series(key), "series")]
    groups += [Named(logs.metadata(name), f"meta{index}") for index, name in enumerate(key.metadata)]
    if key.has_all_metadata:
        groups.append(Named(logs.META, "all_meta"))
    if key.has_level:
        groups.append(Named(logs.LEVEL, "log_level"))
    groups.append(Named(_bucket(buckets), "bucket"))
    columns = (
        *groups,
        Named(call("count"), "lines"),
        Named(call("sum", call("length", logs.LINE)), "bytes"),
    )
    conditions = [*logs.scope(tenant, time_range), call("in", logs.SID, Bound(tuple(sids), "Array(UInt64)"))]
    if buckets.keep_ns < buckets.width_ns:
        conditions.append(call("less", _before_end(buckets), Bound(buckets.keep_ns, "Int64")))
    if where is not None:
        conditions.append(where)
    by = tuple(Column(group.name) for group in groups)
    return render.statement(Select(columns, LOGS, tuple(conditions), group_by=by))


def _series(key: SeriesKey) -> Expr:
    if key.series is None:
        return logs.SID
    numbers = set(key.series.values())
    if len(numbers) == 1:
        return Bound(numbers.pop(), "UInt64")
    return call(
        "transform",
        logs.SID,
        Bound(tuple(key.series), "Array(UInt64)"),
        Bound(tuple(key.series.values()), "Array(UInt64)"),
        Bound(0, "UInt64"),
    )


def _bucket(buckets: Buckets) -> Expr:
    """The number of the bucket, rounded up; every time asked for is after the end of bucket -1."""
    since = call("minus", logs.TS, Bound(buckets.first_end_ns - buckets.width_ns + 1, "Int64"))
    return call("intDiv", since, Bound(buckets.width_ns, "Int64"))


def _before_end(buckets: Buckets) -> Expr:
    """How long before the end of its bucket a time is."""
    end = call(
        "plus",
        Bound(buckets.first_end_ns, "Int64"),
        call("multiply", _bucket(buckets), Bound(buckets.width_ns, "Int64")),
    )
    return call("minus", end, logs.TS)
