"""Tree → text that parses to the same tree."""

from __future__ import annotations

from typing import assert_never

from sillok.logql import ast
from sillok.model.matcher import Matcher
from sillok.text import duration

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def print_expr(expr: ast.Expr) -> str:
    match expr:
        case ast.LogQuery(selector, stages):
            return " ".join([print_selector(selector), *(print_stage(stage) for stage in stages)])
        case ast.RangeAggregation(op, log_range):
            return f"{op}({_range(log_range)})"
        case ast.VectorAggregation(op, inner, grouping):
            return f"{op}{_grouping(grouping)}({print_expr(inner)})"
        case ast.BinaryOperation(op, left, right, returns_bool):
            return f"({print_expr(left)} {op}{' bool' if returns_bool else ''} {print_expr(right)})"
        case ast.Literal(value):
            return _number(value)
        case ast.VectorLiteral(value):
            return f"vector({_number(value)})"
    assert_never(expr)


def print_selector(selector: ast.Selector) -> str:
    return "{" + ", ".join(print_matcher(matcher) for matcher in selector.matchers) + "}"


def print_matcher(matcher: Matcher) -> str:
    return f"{matcher.name}{matcher.op}{quote(matcher.value)}"


def print_stage(stage: ast.Stage) -> str:
    match stage:
        case ast.LineFilter(op, texts):
            return f"{op} {' or '.join(quote(text) for text in texts)}"
    assert_never(stage)


def quote(text: str) -> str:
    """A string literal, as Go's `strconv.Quote` writes it."""
    return '"' + "".join(_quoted(char) for char in text) + '"'


def _quoted(char: str) -> str:
    code = ord(char)
    if char in ('"', "\\"):
        return "\\" + char
    if char in _ESCAPES:
        return _ESCAPES[char]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _range(log_range: ast.LogRange) -> str:
    offset = f" offset {duration.format_go(log_range.offset_ns)}" if log_range.offset_ns else ""
    return f"{print_expr(log_range.query)} [{duration.format_prometheus(log_range.range_ns)}]{offset}"


def _grouping(grouping: ast.Grouping | None) -> str:
    if grouping is None:
        return ""
    return f" {'without' if grouping.is_without else 'by'} ({', '.join(grouping.names)}) "


def _number(value: float) -> str:
    # `-0` would be read as a duration, here as in Loki.
    is_short = value.is_integer() and 0 < abs(value) < 1e15
    return f"{value:.0f}" if is_short else repr(value)
