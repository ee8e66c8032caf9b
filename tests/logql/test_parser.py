"""LogQL's text: what is read, what is refused, and in which words."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.errors import BadRequest, QuerySyntaxError, SillokError
from sillok.logql import ast
from sillok.logql.checks import check
from sillok.logql.parser import MAX_DEPTH, MAX_OPERATORS, parse, parse_selector
from sillok.logql.printer import print_expr
from sillok.model.matcher import Matcher, MatchOp
from tests.logql import golden_file

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name.lower() not in ("by", "without", "bool", "offset", "on", "or", "and", "unless", "ip", "of")
)
# Words of the language are no names of labels in Loki either.
WORDS = ("json", "xml", "regexp", "logfmt", "unpack", "pattern", "drop", "keep", "unwrap", "decolorize", "ignoring")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PATTERNS = st.sampled_from(["a.b", "", "x|y", r"\d+", "(?i)a", "[^x]*"])


@st.composite
def matchers(draw: st.DrawFn) -> Matcher:
    op = draw(st.sampled_from(MatchOp))
    is_pattern = op in (MatchOp.MATCHES, MatchOp.NOT_MATCHES)
    name = draw(NAMES.filter(lambda name: name.lower() not in WORDS))
    return Matcher(name, op, draw(PATTERNS if is_pattern else TEXTS))


LINE_FILTERS = st.builds(
    ast.LineFilter, st.sampled_from(ast.LineOp), st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
)
LOG_QUERIES = st.builds(
    ast.LogQuery,
    st.builds(ast.Selector, st.lists(matchers(), max_size=3).map(tuple)),
    st.lists(LINE_FILTERS, max_size=3).map(tuple),
)
MILLISECOND_NS = 1_000_000
RANGES = st.builds(
    ast.LogRange,
    LOG_QUERIES,
    st.integers(0, 10**9).map(lambda ms: ms * MILLISECOND_NS),
    st.integers(-(10**15), 10**15),
)
GROUPINGS = st.builds(
    ast.Grouping,
    st.lists(NAMES.filter(lambda name: name.lower() not in WORDS), max_size=3).map(tuple),
    st.booleans(),
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
METRICS: st.SearchStrategy[ast.MetricExpr] = st.recursive(
    st.builds(ast.RangeAggregation, st.sampled_from(ast.RangeOp), RANGES)
    | st.builds(ast.Literal, NUMBERS)
    | st.builds(ast.VectorLiteral, NUMBERS.map(abs)),
    lambda inner: (
        st.builds(ast.VectorAggregation, st.just(ast.VectorOp.SUM), inner, st.none() | GROUPINGS)
        | st.builds(ast.BinaryOperation, st.sampled_from(ast.BinaryOp), inner, inner, st.booleans())
    ),
    max_leaves=6,
)


def answer(query: str) -> Mapping[str, str]:
    try:
        tree = parse(query)
        check(tree)
    except SillokError as error:
        return {"error": str(error)}
    return {"printed": print_expr(tree)}


@pytest.mark.parametrize("name", ["errors", "not_yet", "queries"])
def test_queries_are_read_and_refused_as_recorded(name: str, request: pytest.FixtureRequest) -> None:
    golden_file.check(name, answer, request.config)


@given(LOG_QUERIES | METRICS)
def test_what_is_printed_parses_to_the_same_tree(tree: ast.Expr) -> None:
    assert parse(print_expr(tree)) == tree


@given(st.text(max_size=40) | st.text('{}()[]|=!~"`\\ab5m.,<>+-*/^%#\n', max_size=30))
def test_no_text_makes_the_parser_fail_otherwise_than_on_purpose(text: str) -> None:
    try:
        check(parse(text))
    except SillokError:
        pass


@given(LOG_QUERIES | METRICS, st.data())
def test_a_query_cut_short_is_refused_or_read_but_never_a_bug(tree: ast.Expr, data: st.DataObject) -> None:
    text = print_expr(tree)
    cut = data.draw(st.integers(0, len(text)))
    try:
        check(parse(text[:cut] + text[cut + 1 :]))
    except SillokError:
        pass


def test_an_error_carries_where_it_is() -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        parse('{app="a"}\n|= "x"\n foo')
    assert (refused.value.line, refused.value.column, refused.value.offset) == (3, 2, 18)


def test_a_query_nested_without_end_is_refused() -> None:
    with pytest.raises(QuerySyntaxError, match=f"nested more than {MAX_DEPTH} deep"):
        parse("(" * 5000 + "1" + ")" * 5000)


def test_a_query_with_operators_without_end_is_refused() -> None:
    with pytest.raises(QuerySyntaxError, match=f"more than {MAX_OPERATORS} operators"):
        parse("+".join(["1"] * 5000))
    check(parse("+".join(["1"] * MAX_OPERATORS)))


def test_a_long_query_is_refused() -> None:
    with pytest.raises(QuerySyntaxError, match="input size too long"):
        parse('{a="b"}' + " " * 200_000)


def test_a_parameter_that_takes_a_selector_takes_nothing_else() -> None:
    assert parse_selector('{a="b"}') == ast.Selector((Matcher("a", MatchOp.EQUAL, "b"),))
    for text in ('{a="b"} |= "x"', "1", 'rate({a="b"}[1m])'):
        with pytest.raises(BadRequest, match="only label matchers are supported"):
            parse_selector(text)


def test_power_leans_right_and_binds_tightest() -> None:
    power = ast.BinaryOperation(ast.BinaryOp.POW, ast.Literal(3), ast.Literal(2))
    assert parse("1 + 2 ^ 3 ^ 2") == ast.BinaryOperation(
        ast.BinaryOp.ADD, ast.Literal(1), ast.BinaryOperation(ast.BinaryOp.POW, ast.Literal(2), power)
    )
    assert parse("1 - 2 - 3") == ast.BinaryOperation(
        ast.BinaryOp.SUB, ast.BinaryOperation(ast.BinaryOp.SUB, ast.Literal(1), ast.Literal(2)), ast.Literal(3)
    )


def test_the_longest_query_is_read_in_time_that_grows_with_its_length() -> None:
    began = time.process_time()
    filters = ' |= "x"\n' * 15_000
    assert len(parse('{a="b"}' + filters).stages) == 15_000  # type: ignore[union-attr]
    assert time.process_time() - began < 3
