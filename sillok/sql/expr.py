"""Expressions as values: columns, bound values, calls.

Nothing here knows a table; `schema/` says which columns there are, `render` turns the values into text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sillok.sql.statement import Value


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table, or the parameter of a `Lambda`."""

    name: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A value that travels beside the text. `type` is ClickHouse's name where the value's own is not meant."""

    value: Value
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the engine; `parameters` are those of a parametric aggregate, `quantile(0.95)(x)`."""

    name: str
    args: tuple[Expr, ...] = ()
    parameters: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class Lambda:
    """`(a, b) -> body`, for the higher-order functions."""

    names: tuple[str, ...]
    body: Expr


Expr: TypeAlias = Column | Bound | Call | Lambda


@dataclass(frozen=True, slots=True)
class Named:
    """A column of a result: an expression and the name it gets."""

    expr: Expr
    name: str


def call(name: str, *args: Expr) -> Call:
    return Call(name, args)


def not_(expr: Expr) -> Expr:
    return call("not", expr)


def all_of(exprs: Sequence[Expr]) -> Expr:
    """True when every one is; of none, true."""
    return _joined("and", exprs, otherwise=True)


def any_of(exprs: Sequence[Expr]) -> Expr:
    """True when at least one is; of none, false."""
    return _joined("or", exprs, otherwise=False)


def _joined(name: str, exprs: Sequence[Expr], *, otherwise: bool) -> Expr:
    if not exprs:
        return Bound(otherwise)
    return exprs[0] if len(exprs) == 1 else Call(name, tuple(exprs))
