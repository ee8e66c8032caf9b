"""Rows go in as one block and are there for the next query."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from sillok.errors import Overloaded, StoreFull
from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.sql.statement import Statement
from sillok.store.engine import Engine
from sillok.store.writer import FULL_PAUSE_S, MAX_BLOCK_ROWS, Writer

DAY_NS = logs.DAY_NS
NOON = 20_000 * DAY_NS + DAY_NS // 2


def rows(tenant: str, lines: list[bytes], **columns: Any) -> pa.Table:
    count = len(lines)
    return pa.table(
        {
            "tenant": pa.array([tenant] * count, pa.string()),
            "sid": pa.array(columns.get("sid", [1] * count), pa.uint64()),
            "ts": pa.array(columns.get("ts", [NOON + i for i in range(count)]), pa.int64()),
            "line": pa.array(lines, pa.binary()),
            "meta": pa.array(columns.get("meta", [[]] * count), pa.map_(pa.string(), pa.string())),
            "batch": pa.array([columns.get("batch", b"b" * 16)] * count, pa.binary(16)),
            "offset": pa.array(range(count), pa.uint64()),
            "recv": pa.array([columns.get("recv", 1)] * count, pa.int64()),
            "level_hint": pa.array(columns.get("level_hint", [""] * count), pa.string()),
        }
    )


def test_a_row_is_there_for_the_next_query(each_engine: Engine) -> None:
    engine = each_engine
    Writer(engine).append(rows("writer-a", [b"one", b"two"]))
    found = engine.query(logs.select_lines("writer-a", TimeRange(NOON, NOON + 10)))
    assert found["line"].to_pylist() == ["two", "one"]


def test_what_is_stored_of_a_batch_is_known_by_day(each_engine: Engine) -> None:
    engine = each_engine
    writer = Writer(engine)
    times = [NOON, NOON + 1, NOON + DAY_NS, -1]
    writer.append(rows("writer-b", [b"x"] * 4, ts=times, batch=b"0123456789abcdef"))
    days = writer.stored("writer-b", b"0123456789abcdef", time_range=TimeRange(-10, NOON + 2 * DAY_NS))
    assert days == {20_000: 2, 20_001: 1, -1: 1}
    assert writer.stored("writer-b", b"another batch id", time_range=TimeRange(0, NOON + 2 * DAY_NS)) == {}
    assert ("writer-b", b"0123456789abcdef") in set(writer.all_batches())


def test_a_commit_is_one_part_a_day(each_engine: Engine) -> None:
    days = range(21_000, 21_130)  # more than the hundred partitions that the engine allows by itself
    times = [day * DAY_NS + second for day in days for second in range(100)]
    statement = Statement("SYSTEM STOP MERGES", is_housekeeping=True)
    each_engine.execute(statement)
    try:
        Writer(each_engine).append(rows("writer-c", [b"x" * 300] * len(times), ts=times))
        text = """
SELECT partition_id AS day, count() AS parts, sum(rows) AS lines FROM system.parts
WHERE active AND table = 'logs' AND toInt64(partition_id) BETWEEN 21000 AND 21129 GROUP BY day
"""
        found = each_engine.query(Statement(text)).to_pydict()
    finally:
        each_engine.execute(Statement("SYSTEM START MERGES", is_housekeeping=True))
    assert sorted(map(int, found["day"])) == list(days)
    assert set(found["parts"]) == {1}
    assert set(found["lines"]) == {100}


def test_more_rows_than_a_block_takes_are_refused_and_nothing_is_stored(engine: Engine) -> None:
    too_many = pa.table({"tenant": pa.array(["writer-d"] * (MAX_BLOCK_ROWS + 1))})
    with pytest.raises(Overloaded, match="more than a commit takes"):
        Writer(engine).append(too_many)


def test_a_full_disk_stays_full_for_a_moment_and_then_is_asked_again() -> None:
    class Disk:
        is_full = True
        asked = 0

        def insert(self, table: str, rows: pa.Table, *, columns: object) -> None:
            self.asked += 1
            if self.is_full:
                raise StoreFull("no room")

    disk, now = Disk(), [100.0]
    writer = Writer(disk, clock=lambda: now[0])  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(StoreFull):
            writer.append(rows("writer-k", [b"x"]))
    assert disk.asked == 1
    disk.is_full = False
    now[0] += FULL_PAUSE_S
    writer.append(rows("writer-k", [b"x"]))
    assert disk.asked == 2


def test_no_rows_are_no_commit(engine: Engine) -> None:
    Writer(engine).append(rows("writer-e", []))


def test_bytes_metadata_and_offsets_come_back_as_they_went_in(each_engine: Engine) -> None:
    lines = [b"\xff\xfe not utf-8", "한국어".encode(), b"tab\tquote'\\", b""]
    meta = [[("trace_id", "a'b\\")], [], [("k", ""), ("", "v")], [("한", "글")]]
    Writer(each_engine).append(rows("writer-f", lines, meta=meta, sid=[2**64 - 1] * 4, recv=2**62))
    found = each_engine.query(logs.select_lines("writer-f", TimeRange(NOON, NOON + 10), newest_first=False))
    assert found["line"].cast(pa.binary()).to_pylist() == lines
    assert found["meta"].to_pylist() == meta
    assert found["sid"].to_pylist() == [2**64 - 1] * 4
    assert found["recv"].to_pylist() == [2**62] * 4
    assert found["offset"].to_pylist() == [0, 1, 2, 3]


def test_the_newest_receive_time_is_known(engine: Engine) -> None:
    Writer(engine).append(rows("writer-g", [b"x"], recv=2**62 + 1))
    assert Writer(engine).last_recv() == 2**62 + 1


def test_rows_of_one_commit_are_found_by_its_receive_time(each_engine: Engine) -> None:
    writer = Writer(each_engine)
    for recv in range(100, 120):
        writer.append(rows("writer-h", [b"%d" % recv] * 3, recv=recv))
    statement = logs.select_lines("writer-h", TimeRange(0, NOON * 2), recv=[105, 117], newest_first=False)
    assert sorted(set(each_engine.query(statement)["line"].to_pylist())) == ["105", "117"]


def test_volume_counts_lines_and_bytes_by_step_and_level(each_engine: Engine) -> None:
    times = [NOON, NOON + 1, NOON + 60 * 10**9]
    Writer(each_engine).append(rows("writer-i", [b"info", b"error now", b"info"], ts=times))
    statement = logs.volume("writer-i", TimeRange(NOON, NOON + DAY_NS), by_sid=False, step_ns=60 * 10**9, by_level=True)
    found = {
        (row["bucket"], row["level"]): (row["lines"], row["bytes"]) for row in each_engine.query(statement).to_pylist()
    }
    assert found == {
        (NOON, "info"): (1, 4),
        (NOON, "error"): (1, 9),
        (NOON + 60 * 10**9, "info"): (1, 4),
    }
    assert each_engine.query(logs.stats("writer-i", TimeRange(NOON, NOON + DAY_NS))).to_pylist() == [
        {"streams": 1, "entries": 3, "bytes": 17}
    ]


def test_times_before_1970_are_found_too(each_engine: Engine) -> None:
    times = [-1, -logs.BUCKET_NS, -DAY_NS - 1, 0]
    Writer(each_engine).append(rows("writer-j", [b"x"] * 4, ts=times))
    found = each_engine.query(logs.select_lines("writer-j", TimeRange(-2 * DAY_NS, 1), newest_first=False))
    assert found["ts"].to_pylist() == sorted(times)
    for start, end in ((-1, 0), (-DAY_NS - 1, -DAY_NS), (-logs.BUCKET_NS, -logs.BUCKET_NS + 1)):
        assert each_engine.query(logs.select_lines("writer-j", TimeRange(start, end))).num_rows == 1
