"""LogQL's tree: frozen values, no behaviour, no positions that break equality.

Source: Loki pkg/logql/syntax/ast.go; https://grafana.com/docs/loki/latest/query/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from sillok.model.matcher import Matcher


@dataclass(frozen=True, slots=True)
class Selector:
    """`{app="api", host!="a"}`: the streams that all matchers match."""

    matchers: tuple[Matcher, ...]


class LineOp(StrEnum):
    CONTAINS = "|="
    LACKS = "!="
    MATCHES = "|~"
    MATCHES_NOT = "!~"


@dataclass(frozen=True, slots=True)
class LineFilter:
    """`|= "a" or "b"`: keeps lines with one of the texts; negated, lines with none of them."""

    op: LineOp
    texts: tuple[str, ...]


Stage: TypeAlias = LineFilter


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A selector and the stages its entries go through."""

    selector: Selector
    stages: tuple[Stage, ...] = ()


class RangeOp(StrEnum):
    COUNT = "count_over_time"
    RATE = "rate"
    BYTES = "bytes_over_time"
    BYTES_RATE = "bytes_rate"


class VectorOp(StrEnum):
    SUM = "sum"


class BinaryOp(StrEnum):
    POW = "^"
    MUL = "*"
    DIV = "/"
    MOD = "%"
    ADD = "+"
    SUB = "-"
    EQUAL = "=="
    NOT_EQUAL = "!="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="


COMPARISONS = frozenset(
    {
        BinaryOp.EQUAL,
        BinaryOp.NOT_EQUAL,
        BinaryOp.GREATER,
        BinaryOp.GREATER_OR_EQUAL,
        BinaryOp.LESS,
        BinaryOp.LESS_OR_EQUAL,
    }
)


@dataclass(frozen=True, slots=True)
class LogRange:
    """`{…} |= "x" [5m] offset 1h`: the entries of a window that ends `offset_ns` before the evaluation time."""

    query: LogQuery
    range_ns: int
    offset_ns: int = 0


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by (a, b)`, or everything but: `without (a, b)`."""

    names: tuple[str, ...]
    is_without: bool = False


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """`rate({…}[5m])`: a vector of one sample per stream and metadata."""

    op: RangeOp
    range: LogRange


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    """`sum by (a) (…)`. No grouping: one sample without labels."""

    op: VectorOp
    inner: MetricExpr
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class BinaryOperation:
    """`a / b`. `returns_bool`: a comparison answers 0 or 1 instead of filtering."""

    op: BinaryOp
    left: MetricExpr
    right: MetricExpr
    returns_bool: bool = False


@dataclass(frozen=True, slots=True)
class Literal:
    """A number: a scalar."""

    value: float


@dataclass(frozen=True, slots=True)
class VectorLiteral:
    """`vector(1)`: a vector of one sample without labels."""

    value: float


MetricExpr: TypeAlias = RangeAggregation | VectorAggregation | BinaryOperation | Literal | VectorLiteral
Expr: TypeAlias = LogQuery | MetricExpr
