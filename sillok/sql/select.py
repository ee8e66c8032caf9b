"""A SELECT as a value. It is built by the constructors of `schema/`, which give it tenant and time range."""

from __future__ import annotations

from dataclasses import dataclass

from sillok.sql.expr import Expr, Named


@dataclass(frozen=True, slots=True)
class Order:
    expr: Expr
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Select:
    """`prewhere` is what the engine tests before it reads the other columns; None leaves the choice to it."""

    columns: tuple[Named, ...]
    table: str
    where: tuple[Expr, ...] = ()
    prewhere: tuple[Expr, ...] = ()
    group_by: tuple[Expr, ...] = ()
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    limit_by: tuple[int, tuple[Expr, ...]] | None = None
    is_distinct: bool = False
