"""Values into text: what is bound, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.sql import render
from sillok.sql.expr import Bound, Call, Column, Expr, Lambda, Named, all_of, any_of, call, not_
from sillok.sql.select import Order, Select
from sillok.sql.statement import Value
from sillok.store.binding import bind
from sillok.store.engine import Engine

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


def rendered(expr: Expr) -> tuple[str, dict[str, Value]]:
    params: dict[str, Value] = {}
    return render.render(expr, params), params


@pytest.mark.parametrize(
    ("expr", "text", "params"),
    [
        (Column("line"), "`line`", {}),
        (Bound("it's"), "{p0:String}", {"p0": "it's"}),
        (Bound(b"\xff"), "unhex({p0:String})", {"p0": b"\xff"}),
        (Bound(5, "UInt8"), "{p0:UInt8}", {"p0": 5}),
        (Bound(2**63), "{p0:UInt64}", {"p0": 2**63}),
        (Bound(("a", "b")), "{p0:Array(String)}", {"p0": ("a", "b")}),
        (call("position", Column("line"), Bound("x")), "position(`line`, {p0:String})", {"p0": "x"}),
        (Call("quantile", (Column("v"),), (Bound(0.5),)), "quantile({p0:Float64})(`v`)", {"p0": 0.5}),
        (
            call("arrayExists", Lambda(("x",), call("equals", Column("x"), Bound(1))), Column("a")),
            "arrayExists((`x`) -> equals(`x`, {p0:Int64}), `a`)",
            {"p0": 1},
        ),
        (not_(all_of([Column("a"), Column("b")])), "not(and(`a`, `b`))", {}),
        (any_of([Column("a")]), "`a`", {}),
        (all_of([]), "{p0:Bool}", {"p0": True}),
    ],
)
def test_an_expression_becomes_text_and_parameters(expr: Expr, text: str, params: dict[str, Value]) -> None:
    assert rendered(expr) == (text, params)


def test_a_select_becomes_one_statement() -> None:
    select = Select(
        columns=(Named(Column("a"), "a"), Named(call("count"), "n")),
        table="sillok.logs",
        prewhere=(call("equals", Column("a"), Bound("x")),),
        where=(Column("b"), Column("c")),
        group_by=(Column("a"),),
        order_by=(Order(Column("n"), is_descending=True), Order(Column("a"))),
        limit_by=(2, (Column("a"),)),
        limit=10,
    )
    statement = render.statement(select)
    assert statement.text == (
        "SELECT `a` AS `a`, count() AS `n`\n"
        "FROM sillok.logs\n"
        "PREWHERE equals(`a`, {p0:String})\n"
        "WHERE `b`\n  AND `c`\n"
        "GROUP BY `a`\n"
        "ORDER BY `n` DESC, `a`\n"
        "LIMIT 2 BY `a`\n"
        "LIMIT 10"
    )
    assert statement.params == {"p0": "x"}


@given(ANY_TEXT)
def test_a_value_never_enters_the_text(value: str) -> None:
    text, params = rendered(call("equals", Column("line"), Bound(value)))
    assert text == "equals(`line`, {p0:String})"
    assert params == {"p0": value}


@pytest.mark.parametrize(
    "expr",
    [Column("a`b"), Column(""), call("sleep(1); --"), call(""), Bound(1, "UInt8}"), Lambda(("x y",), Column("x"))],
)
def test_a_name_that_could_break_out_is_refused(expr: Expr) -> None:
    with pytest.raises(ValueError, match="may not stand"):
        rendered(expr)


@given(st.lists(ANY_TEXT, max_size=20))
def test_what_is_bound_is_what_the_engine_sees(engine: Engine, values: list[str]) -> None:
    texts = call("array", *(Bound(value) for value in values), Bound("end"))
    array = Bound(tuple(values), "Array(String)")
    params: dict[str, Value] = {}
    columns = f"{render.render(texts, params)} AS one_by_one, {render.render(array, params)} AS together"
    from sillok.sql.statement import Statement

    found = engine.query(Statement(f"SELECT {columns}", params))
    assert found["one_by_one"][0].as_py() == [*values, "end"]
    assert found["together"][0].as_py() == values
    assert set(bind(params)) == set(params)
