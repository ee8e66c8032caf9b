"""A line filter says the same on rows and in SQL."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sillok.errors import BadRequest
from sillok.logql import ast
from sillok.logql.lowered import Exact
from sillok.logql.stages.line_filter import LineFilterStage
from sillok.model.entry import Entry
from sillok.sql.render import render
from sillok.sql.statement import Statement, Value
from sillok.store.engine import Engine
from sillok.text.regex import compile_regex

ALPHABET = st.sampled_from([*"abAB01 %_\\'\"\n\t.é실{}[]()|*+?^$-:=", "\x00", "\x7f", "İ", "ſ", "K"])
LINES = st.lists(st.text(ALPHABET, max_size=12), min_size=1, max_size=30)
TEXTS = st.text(ALPHABET, max_size=4)
ATOMS = st.sampled_from(
    [*"ab.é실^$%_\n", r"\d", r"\w", r"\s", "[ab]", "[^a]", "(?i)b", "(?i)k", r"\b", r"\\", r"\.", "(?s)."]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: (
        st.builds("({})".format, inner)
        | st.builds("{}{}".format, inner, inner)
        | st.builds("{}|{}".format, inner, inner)
        | st.builds("(?:{}){}".format, inner, st.sampled_from("*+?"))
    ),
    max_leaves=5,
)


def kept_by_rows(stage: LineFilterStage, lines: list[str]) -> list[bool]:
    return [bool(list(stage.run([Entry(0, line)]))) for line in lines]


def kept_by_sql(engine: Engine, stage: LineFilterStage, lines: list[str]) -> list[bool]:
    lowered = stage.lower()
    assert isinstance(lowered, Exact)
    params: dict[str, Value] = {}
    condition = render(lowered.keeps, params)
    numbered = "SELECT arrayJoin(arrayEnumerate({lines:Array(String)})) AS n, {lines:Array(String)}[n] AS line"
    statement = Statement(f"SELECT {condition} AS kept FROM ({numbered}) ORDER BY n", {**params, "lines": tuple(lines)})
    return [bool(kept) for kept in engine.query(statement).column("kept").to_pylist()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    op=st.sampled_from([ast.LineOp.CONTAINS, ast.LineOp.LACKS]),
    texts=st.lists(TEXTS, min_size=1, max_size=3),
    lines=LINES,
)
@example(op=ast.LineOp.CONTAINS, texts=["%"], lines=["100%", "100"])
@example(op=ast.LineOp.LACKS, texts=[""], lines=["", "a"])
def test_texts_are_found_alike_in_rows_and_in_sql(
    engine: Engine, op: ast.LineOp, texts: list[str], lines: list[str]
) -> None:
    stage = LineFilterStage(ast.LineFilter(op, tuple(texts)))
    assert kept_by_sql(engine, stage, lines) == kept_by_rows(stage, lines)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(op=st.sampled_from([ast.LineOp.MATCHES, ast.LineOp.MATCHES_NOT]), pattern=PATTERNS, lines=LINES)
@example(op=ast.LineOp.MATCHES, pattern="a.b", lines=["a\nb", "axb"])
@example(op=ast.LineOp.MATCHES, pattern="a.b|c.d", lines=["c\nd", "a\nb", "cxd"])
@example(op=ast.LineOp.MATCHES, pattern="^b", lines=["a\nb", "b"])
@example(op=ast.LineOp.MATCHES_NOT, pattern="", lines=["", "a"])
def test_patterns_match_alike_in_rows_and_in_sql(
    engine: Engine, op: ast.LineOp, pattern: str, lines: list[str]
) -> None:
    try:
        compile_regex(pattern)
    except BadRequest:
        return
    stage = LineFilterStage(ast.LineFilter(op, (pattern,)))
    assert kept_by_sql(engine, stage, lines) == kept_by_rows(stage, lines)


def test_filters_are_lazy() -> None:
    def endless() -> object:
        number = 0
        while True:
            yield Entry(number, f"line {number}")
            number += 1

    kept = LineFilterStage(ast.LineFilter(ast.LineOp.CONTAINS, ("7",))).run(endless())  # type: ignore[arg-type]
    assert [next(kept).line for _ in range(2)] == ["line 7", "line 17"]


def test_a_wrong_pattern_is_refused_when_the_stage_is_built() -> None:
    with pytest.raises(BadRequest, match="missing closing"):
        LineFilterStage(ast.LineFilter(ast.LineOp.MATCHES, ("(",)))
