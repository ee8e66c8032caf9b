"""An answer belongs to its caller: later queries do not write into it."""

from __future__ import annotations

from sillok.sql.statement import Statement
from sillok.store.engine import Engine


def test_a_table_stays_as_it_was_while_other_queries_run(engine: Engine) -> None:
    texts = "SELECT toString(number * {n:UInt64}) AS text FROM numbers(20000)"
    kept = [engine.query(Statement(texts, {"n": n})) for n in range(1, 6)]
    for n in range(20):
        engine.query(Statement(texts, {"n": 1000 + n}))
    for n, table in enumerate(kept, 1):
        table.validate(full=True)
        assert table["text"].to_pylist() == [str(number * n) for number in range(20000)]


def test_an_answer_says_what_was_read_for_it(engine: Engine) -> None:
    table = engine.query(Statement("SELECT number FROM numbers(1000) WHERE number % 100 = 0"))
    assert table.num_rows == 10
    assert table.schema.metadata[b"rows_read"] == b"1000"
