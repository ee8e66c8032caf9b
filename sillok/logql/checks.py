"""What a tree must keep to besides the grammar.

Source: Loki pkg/logql/syntax/parser.go `validateExpr`
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import assert_never

from sillok.errors import BadRequest
from sillok.logql import ast
from sillok.logql.lexer import syntax_error
from sillok.logql.printer import print_stage
from sillok.logql.stages import build
from sillok.model.matcher import Matcher, MatchOp
from sillok.text.regex import compile_regex

NO_REAL_MATCHER = (
    "queries require at least one regexp or equality matcher that does not have an empty-compatible value. "
    'For instance, app=~".*" does not meet this requirement, but app=~".+" will'
)


def check(expr: ast.Expr) -> None:
    """Raises:
    QuerySyntaxError: the tree breaks a rule; the text is Loki's.
    """
    match expr:
        case ast.LogQuery():
            _check_log_query(expr)
        case ast.RangeAggregation(_, log_range):
            _check_log_query(log_range.query)
        case ast.VectorAggregation(_, ast.Literal()):
            raise syntax_error(NO_REAL_MATCHER)
        case ast.VectorAggregation(_, inner):
            check(inner)
        case ast.BinaryOperation(_, left, right):
            check(left)
            check(right)
        case ast.Literal() | ast.VectorLiteral():
            return
        case _:
            assert_never(expr)


def check_selector(selector: ast.Selector) -> None:
    """At least one matcher must refuse the empty value: a query may not mean "everything" by accident."""
    if all(_takes_empty(matcher) for matcher in selector.matchers):
        raise syntax_error(NO_REAL_MATCHER)


def _check_log_query(query: ast.LogQuery) -> None:
    check_selector(query.selector)
    for is_line_filter, stages in groupby(query.stages, key=lambda stage: isinstance(stage, ast.LineFilter)):
        # To Loki line filters in a row are one stage.
        run = list(stages)
        for parts in [run] if is_line_filter else [[stage] for stage in run]:
            _check_stages(parts)


def _check_stages(stages: Sequence[ast.Stage]) -> None:
    try:
        for stage in stages:
            build(stage)
    except BadRequest as error:
        raise syntax_error(f"stage '{' '.join(print_stage(stage) for stage in stages)}' : {error}") from None


def _takes_empty(matcher: Matcher) -> bool:
    match matcher.op:
        case MatchOp.EQUAL:
            return not matcher.value
        case MatchOp.NOT_EQUAL:
            return bool(matcher.value)
        case MatchOp.MATCHES:
            return compile_regex(matcher.value, is_anchored=True).matches("")
        case MatchOp.NOT_MATCHES:
            return not compile_regex(matcher.value, is_anchored=True).matches("")
    assert_never(matcher.op)
