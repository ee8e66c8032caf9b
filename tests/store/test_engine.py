"""The promises of the engine protocol, on both engines."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from sillok.errors import QueryCancelled, QueryRejected, QueryTimeout, StoreUnavailable
from sillok.sql.expr import Bound, Column, Named, call
from sillok.sql.statement import Statement, Value
from sillok.store.engine import Engine
from sillok.store.faults import EngineError

ENDLESS = Statement("SELECT sum(sipHash64(number)) AS s FROM numbers(100000000000)")
HARD_TEXTS = [
    "",
    "plain",
    "it's",
    'say "hi"',
    "back\\slash",
    "\\",
    "\\n is no newline",
    "new\nline",
    "tab\tand\rreturn",
    "nul\0inside",
    "\b\f\v\a",
    "{p0:String}",
    "%_",
    "`; DROP TABLE x; --",
    "\\'",
    "한국어 로그",
    "😀",
    "a" * 100_000,
]


def one(engine: Engine, text: str, **params: Value) -> Any:
    return engine.query(Statement(text, params))["x"][0].as_py()


@pytest.mark.parametrize("text", HARD_TEXTS, ids=range(len(HARD_TEXTS)))
def test_a_bound_text_arrives_as_it_is(each_engine: Engine, text: str) -> None:
    assert one(each_engine, "SELECT {p:String} AS x", p=text) == text


def test_texts_in_an_array_arrive_as_they_are(each_engine: Engine) -> None:
    assert one(each_engine, "SELECT {p:Array(String)} AS x", p=tuple(HARD_TEXTS)) == HARD_TEXTS


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("UInt64", 2**64 - 1),
        ("Int64", -(2**63)),
        ("Float64", 1.5e-300),
        ("Bool", True),
        ("Bool", False),
        ("Array(UInt64)", (0, 2**64 - 1)),
        ("Array(Int64)", (-1, 2**63 - 1)),
        ("Array(String)", ()),
    ],
)
def test_a_bound_value_arrives_as_it_is(each_engine: Engine, kind: str, value: Value) -> None:
    found = one(each_engine, f"SELECT {{p:{kind}}} AS x", p=value)
    assert found == (list(value) if isinstance(value, tuple) else value)


def test_bytes_travel_as_hexadecimal_digits(each_engine: Engine) -> None:
    every = bytes(range(256))
    assert one(each_engine, "SELECT hex(unhex({p:String})) AS x", p=every) == every.hex().upper()


def test_twenty_thousand_ids_fit_a_condition(each_engine: Engine) -> None:
    ids = tuple(2**63 + number for number in range(20_000))
    text = "SELECT count() AS x FROM numbers(10) WHERE number + 9223372036854775808 IN {p:Array(UInt64)}"
    assert one(each_engine, text, p=ids) == 10


def test_a_line_that_is_not_utf8_comes_out_as_it_went_in(each_engine: Engine) -> None:
    table = each_engine.query(Statement("SELECT unhex('fffe00') AS x"))
    assert table.schema.field("x").type == pa.string()
    assert table["x"].cast(pa.binary())[0].as_py() == b"\xff\xfe\x00"


def test_an_empty_answer_keeps_its_columns(each_engine: Engine) -> None:
    table = each_engine.query(Statement("SELECT 1 AS a, 'x' AS b WHERE 0"))
    assert (table.num_rows, table.column_names) == (0, ["a", "b"])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SELECT * FROM nowhere", EngineError),
        ("SELECT FROM WHERE", QueryRejected),
        ("SELECT throwIf(number = 5) FROM numbers(10)", EngineError),
        ("SELECT number FROM numbers(1000000) SETTINGS max_rows_to_read = 10", QueryRejected),
    ],
)
def test_a_refused_statement_raises_what_it_is(each_engine: Engine, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        # The settings of a query go behind its text, so one that has its own is an error too: run it as DDL.
        (each_engine.execute if "SETTINGS" in text else each_engine.query)(Statement(text))


def test_after_a_failed_statement_the_next_answer_is_its_own(each_engine: Engine) -> None:
    failing = Statement("SELECT toString(number), throwIf(number = 500000) FROM numbers(1000000)")
    for _ in range(5):
        with pytest.raises(EngineError):
            each_engine.query(failing)
        assert each_engine.query(Statement("SELECT 42 AS x")).to_pydict() == {"x": [42]}


def test_an_answer_larger_than_its_bound_is_refused(each_engine: Engine) -> None:
    with pytest.raises(QueryRejected, match="larger than"):
        each_engine.query(
            Statement("SELECT repeat(toString(number), 1000) FROM numbers(1000)"), settings={"max_result_bytes": 10_000}
        )


def test_memory_over_the_bound_is_refused_and_the_engine_lives_on(each_engine: Engine) -> None:
    greedy = Statement("SELECT number, count() FROM numbers(50000000) GROUP BY number")
    with pytest.raises(QueryRejected, match="memory"):
        each_engine.query(greedy, settings={"max_memory_usage": 50_000_000})
    assert one(each_engine, "SELECT 1 AS x") == 1


def test_a_query_ends_at_its_time_limit(each_engine: Engine) -> None:
    begin = time.monotonic()
    with pytest.raises(QueryTimeout):
        each_engine.query(ENDLESS, timeout_s=0.2)
    assert time.monotonic() - begin < 5


def test_a_cancelled_query_ends(each_engine: Engine) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(each_engine.query, ENDLESS, tag="cancelled-1", timeout_s=60)
        time.sleep(0.2)  # long enough to run; `cancel` also finds one that has only just begun
        begin = time.monotonic()
        each_engine.cancel("cancelled-1")
        with pytest.raises(QueryCancelled):
            running.result(timeout=30)
    assert time.monotonic() - begin < 5


def test_cancelling_what_does_not_run_does_nothing(each_engine: Engine) -> None:
    each_engine.cancel("nobody")
    assert one(each_engine, "SELECT 1 AS x") == 1


def test_two_queries_may_share_a_tag(each_engine: Engine) -> None:
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(each_engine.query, ENDLESS, tag="shared", timeout_s=60)
        time.sleep(0.1)
        assert each_engine.query(Statement("SELECT 1 AS x"), tag="shared").num_rows == 1
        each_engine.cancel("shared")
        with pytest.raises(QueryCancelled):
            slow.result(timeout=30)


def test_a_stream_comes_in_pieces_and_whole(each_engine: Engine) -> None:
    pieces = list(each_engine.stream(Statement("SELECT number AS x FROM numbers(500000)")))
    assert len(pieces) > 1
    assert sum(piece.num_rows for piece in pieces) == 500_000
    assert list(each_engine.stream(Statement("SELECT 1 AS x WHERE 0"))) == []


def test_closing_a_stream_ends_its_query(each_engine: Engine) -> None:
    stream = each_engine.stream(Statement("SELECT number AS x FROM numbers(100000000000)"), tag="left-early")
    next(stream)
    begin = time.monotonic()
    stream.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin < 5
    gone = Statement("SELECT count() AS x FROM system.processes WHERE Settings['log_comment'] = 'left-early'")
    deadline = time.monotonic() + 10
    while each_engine.query(gone)["x"][0].as_py():
        assert time.monotonic() < deadline, "the query runs on"
        time.sleep(0.05)


def test_a_stream_that_fails_in_the_middle_raises(each_engine: Engine) -> None:
    failing = Statement("SELECT number, throwIf(number = 900000, 'in the middle') AS t FROM numbers(1000000)")
    with pytest.raises(EngineError):
        for _ in each_engine.stream(failing, settings={"max_threads": 1}):
            pass
    assert one(each_engine, "SELECT 1 AS x") == 1


def test_six_readers_at_once_get_their_own_answers(each_engine: Engine) -> None:
    def ask(number: int) -> bool:
        text = "SELECT sum(number) + {n:UInt64} AS x FROM numbers(10000)"
        return bool(one(each_engine, text, n=number) == 49_995_000 + number)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(200)))


def test_rows_of_every_type_go_in_and_come_out(each_engine: Engine) -> None:
    made = """
CREATE TABLE IF NOT EXISTS sillok.every_type
(u UInt64, i Int64, s String, b FixedString(4), f Float64, t Bool, m Map(String, String), d String DEFAULT 'gone')
ENGINE = MergeTree ORDER BY u
"""
    each_engine.execute(Statement(made))
    rows = pa.table(
        {
            "u": pa.array([1, 2**64 - 1], pa.uint64()),
            "i": pa.array([-(2**63), 5], pa.int64()),
            "s": pa.array([b"\xff\x00", b""], pa.binary()),
            "b": pa.array([b"abcd", b"\0\1\2\3"], pa.binary(4)),
            "f": pa.array([float("inf"), -0.5], pa.float64()),
            "t": pa.array([True, False]),
            "m": pa.array([[("k", "v"), ("", "'\\")], []], pa.map_(pa.string(), pa.string())),
        }
    )
    each_engine.insert("sillok.every_type", rows)
    found = each_engine.query(Statement("SELECT * FROM sillok.every_type ORDER BY u"))
    each_engine.execute(Statement("DROP TABLE sillok.every_type"))
    assert found["s"].cast(pa.binary()).to_pylist() == [b"\xff\x00", b""]
    assert found["b"].to_pylist() == [b"abcd", b"\0\1\2\3"]
    assert found["m"].to_pylist() == [[("k", "v"), ("", "'\\")], []]
    for column in ("u", "i", "f", "t"):
        assert found[column].to_pylist() == rows[column].to_pylist()
    assert found["d"].to_pylist() == ["gone", "gone"]


def test_columns_are_computed_while_rows_go_in(each_engine: Engine) -> None:
    each_engine.execute(
        Statement("CREATE TABLE IF NOT EXISTS sillok.computed (n UInt64, t String) ENGINE = MergeTree ORDER BY n")
    )
    text = call("concat", Column("word"), Bound(" 'and' \\ \n more"))
    columns = [Named(Column("n"), "n"), Named(text, "t")]
    rows = pa.table({"n": pa.array([7], pa.uint64()), "word": ["one"]})
    each_engine.insert("sillok.computed", rows, columns=columns)
    found = each_engine.query(Statement("SELECT n, t FROM sillok.computed")).to_pydict()
    each_engine.execute(Statement("DROP TABLE sillok.computed"))
    assert found == {"n": [7], "t": ["one 'and' \\ \n more"]}


def test_an_insert_is_one_part_a_partition_and_more_than_a_hundred_are_allowed(each_engine: Engine) -> None:
    made = "CREATE TABLE IF NOT EXISTS sillok.days (n UInt64) ENGINE = MergeTree PARTITION BY n % 150 ORDER BY n"
    each_engine.execute(Statement(made))
    each_engine.insert("sillok.days", pa.table({"n": pa.array(range(600_000), pa.uint64())}))
    found = each_engine.query(
        Statement("SELECT count() AS parts, sum(rows) AS rows FROM system.parts WHERE table = 'days' AND active")
    ).to_pydict()
    each_engine.execute(Statement("DROP TABLE sillok.days"))
    assert found == {"parts": [150], "rows": [600_000]}


def test_the_door_lets_no_statement_on_a_tenants_table_pass_without_tenant_and_range(each_engine: Engine) -> None:
    for text in ("SELECT line FROM sillok.logs", "SELECT labels FROM sillok.streams", "SELECT 1 FROM `sillok.logs`"):
        with pytest.raises(ValueError, match="tenant"):
            each_engine.query(Statement(text))
        with pytest.raises(ValueError, match="tenant"):
            next(each_engine.stream(Statement(text)))


def test_names_and_tags_that_could_break_out_are_refused(each_engine: Engine) -> None:
    with pytest.raises(ValueError, match="tag"):
        each_engine.query(Statement("SELECT 1"), tag="x' OR 1")
    with pytest.raises(ValueError, match="SQL text"):
        each_engine.insert("sillok.logs", pa.table({"a` FROM x": [1]}))


def test_threads_that_query_do_not_wait_for_each_other(each_engine: Engine) -> None:
    started = threading.Event()

    def slow() -> None:
        started.set()
        with pytest.raises(QueryTimeout):
            each_engine.query(ENDLESS, timeout_s=3, settings={"max_threads": 1})

    thread = threading.Thread(target=slow)
    thread.start()
    started.wait()
    begin = time.monotonic()
    assert one(each_engine, "SELECT 1 AS x") == 1
    assert time.monotonic() - begin < 2
    thread.join()


def test_a_server_that_is_not_there_is_told() -> None:
    from sillok.store.engines.clickhouse import open_clickhouse

    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        open_clickhouse("http://127.0.0.1:9")
