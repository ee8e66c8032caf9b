"""Rows go in as one block and are there for the next query."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.store.engine import Engine
from sillok.store.writer import Writer

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


def test_a_row_is_there_for_the_next_query(engine: Engine) -> None:
    Writer(engine).append(rows("writer-a", [b"one", b"two"]))
    found = engine.query(logs.select_lines("writer-a", TimeRange(NOON, NOON + 10)))
    assert found["line"].to_pylist() == ["two", "one"]


def test_what_is_stored_of_a_batch_is_known_by_day(engine: Engine) -> None:
    writer = Writer(engine)
    times = [NOON, NOON + 1, NOON + DAY_NS, -1]
    writer.append(rows("writer-b", [b"x"] * 4, ts=times, batch=b"0123456789abcdef"))
    days = writer.stored("writer-b", b"0123456789abcdef", time_range=TimeRange(-10, NOON + 2 * DAY_NS))
    assert days == {20_000: 2, 20_001: 1, -1: 1}
    assert writer.stored("writer-b", b"another batch id", time_range=TimeRange(0, NOON + 2 * DAY_NS)) == {}
    assert ("writer-b", b"0123456789abcdef") in set(writer.all_batches())
