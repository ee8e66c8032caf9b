"""What the engine tells about the parts and partitions of the logs, and how whole days are dropped.

The partition of a row is its UTC day, so a partition's id is the number of the day since 1970.
"""

from __future__ import annotations

from collections.abc import Collection

from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.schema.ddl import Placement
from sillok.schema.tables import DATABASE, LOGS
from sillok.sql import render
from sillok.sql.expr import Column, Named
from sillok.sql.select import Select
from sillok.sql.statement import Statement


def days(placement: Placement) -> Statement:
    """The days there are. Columns: day int64, lines uint64, state uint64 (changes with every part that comes)."""
    table = placement.logs.removeprefix(f"{DATABASE}.")
    text = f"""
SELECT toInt64(partition_id) AS day, sum(rows) AS lines, groupBitXor(cityHash64(name)) AS state
FROM {_system("parts", placement)}
WHERE active AND database = {{database:String}} AND table = {{table:String}}
GROUP BY day
ORDER BY day
"""  # noqa: S608  a name of ours
    return Statement(text, {"database": DATABASE, "table": table}, is_housekeeping=True)


def streams_of_day(day: int) -> Statement:
    """Who has entries on a day. Columns: tenant, sid."""
    start = day * logs.DAY_NS
    within = logs.times(TimeRange(start, start + logs.DAY_NS))
    columns = (Named(logs.TENANT, "tenant"), Named(logs.SID, "sid"))
    by = (Column("tenant"), Column("sid"))
    return render.statement(Select(columns, LOGS, within, group_by=by), is_housekeeping=True)


def drop_day(placement: Placement, day: int) -> Statement:
    """The day with all that is in it; its room is free at once."""
    return Statement(
        f"ALTER TABLE {placement.logs}{placement.everywhere} DROP PARTITION ID '{int(day)}'", is_housekeeping=True
    )


def delete_from_day(placement: Placement, day: int, tenant: str, sids: Collection[int]) -> Statement:
    """Delete streams of one tenant from one day. The engine rewrites the day's parts that hold any of them."""
    text = f"""
ALTER TABLE {placement.logs}{placement.everywhere}
DELETE IN PARTITION ID '{int(day)}' WHERE tenant = {{tenant:String}} AND sid IN {{sids:Array(UInt64)}}
"""
    return Statement(text, {"tenant": tenant, "sids": tuple(sids)}, is_housekeeping=True)


def detached() -> Statement:
    """Parts that the engine put aside when it opened. Columns: table, name, reason."""
    text = """
SELECT table, name, coalesce(reason, '') AS reason FROM system.detached_parts
WHERE database = {database:String} AND reason LIKE 'broken%'
"""
    return Statement(text, {"database": DATABASE}, is_housekeeping=True)


def least_free(table: str) -> Statement:
    """The free bytes below which the table takes no rows, as its definition says. Column: bytes (0: none)."""
    text = """
SELECT toUInt64OrZero(extract(engine_full, 'min_free_disk_bytes_to_perform_insert = (\\\\d+)')) AS bytes
FROM system.tables WHERE database = {database:String} AND concat(database, '.', name) = {table:String}
"""
    return Statement(text, {"database": DATABASE, "table": table}, is_housekeeping=True)


def _system(table: str, placement: Placement) -> str:
    if placement.cluster is None:
        return f"system.{table}"
    return f"cluster('{placement.cluster}', system.{table})"
