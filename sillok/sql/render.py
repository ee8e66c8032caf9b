"""Values into text and bound parameters. Renders what it is given and never decides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import assert_never

from sillok.sql.expr import Bound, Call, Column, Expr, Lambda, Named
from sillok.sql.select import Order, Select
from sillok.sql.statement import Statement, Value

_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_TYPE = re.compile(r"[A-Za-z0-9(), ]+\Z")
_MAX_INT64 = 2**63 - 1


def render(expr: Expr, params: dict[str, Value]) -> str:
    """The text of `expr`; its values go into `params` under fresh names."""
    match expr:
        case Column(name):
            return f"`{_checked(_NAME, name)}`"
        case Bound():
            return _hole(expr, params)
        case Call(name, args, parameters):
            given = f"({_list(parameters, params)})" if parameters else ""
            return f"{_checked(_FUNCTION, name)}{given}({_list(args, params)})"
        case Lambda(names, body):
            heads = ", ".join(f"`{_checked(_NAME, name)}`" for name in names)
            return f"({heads}) -> {render(body, params)}"
    assert_never(expr)


def statement(select: Select, *, is_housekeeping: bool = False) -> Statement:
    """The whole SELECT, ready for an engine."""
    params: dict[str, Value] = {}
    clauses = [
        f"SELECT {'DISTINCT ' if select.is_distinct else ''}{_columns(select.columns, params)}",
        f"FROM {_checked(_NAME, select.table)}",
    ]
    if select.prewhere:
        clauses.append(f"PREWHERE {_conditions(select.prewhere, params)}")
    if select.where:
        clauses.append(f"WHERE {_conditions(select.where, params)}")
    if select.group_by:
        clauses.append(f"GROUP BY {_list(select.group_by, params)}")
    if select.order_by:
        clauses.append(f"ORDER BY {', '.join(_order(order, params) for order in select.order_by)}")
    if select.limit_by is not None:
        count, by = select.limit_by
        clauses.append(f"LIMIT {int(count)} BY {_list(by, params)}")
    if select.limit is not None:
        clauses.append(f"LIMIT {int(select.limit)}")
    return Statement("\n".join(clauses), params, is_housekeeping)


def insert(table: str, columns: Sequence[Named], source: str, params: dict[str, Value]) -> str:
    """INSERT of expressions over the rows of `source`, a table function."""
    names = ", ".join(f"`{_checked(_NAME, column.name)}`" for column in columns)
    selected = ", ".join(render(column.expr, params) for column in columns)
    return f"INSERT INTO {_checked(_NAME, table)} ({names})\nSELECT {selected}\nFROM {source}"


def _hole(bound: Bound, params: dict[str, Value]) -> str:
    name = next((known for known, value in params.items() if value is bound.value), f"p{len(params)}")
    params[name] = bound.value
    hole = f"{{{name}:{_checked(_TYPE, bound.type or _type_of(bound.value))}}}"
    # A parameter is text; bytes that are not UTF-8 travel as hexadecimal digits.
    return f"unhex({hole})" if isinstance(bound.value, bytes) else hole


def _type_of(value: Value) -> str:
    match value:
        case bool():
            return "Bool"
        case int():
            return "Int64" if value <= _MAX_INT64 else "UInt64"
        case float():
            return "Float64"
        case str() | bytes():
            return "String"
        case tuple():
            return "Array(String)" if value and isinstance(value[0], str) else "Array(UInt64)"
    assert_never(value)


def _columns(columns: Sequence[Named], params: dict[str, Value]) -> str:
    return ", ".join(f"{render(column.expr, params)} AS `{_checked(_NAME, column.name)}`" for column in columns)


def _conditions(exprs: Sequence[Expr], params: dict[str, Value]) -> str:
    return "\n  AND ".join(render(expr, params) for expr in exprs)


def _list(exprs: Sequence[Expr], params: dict[str, Value]) -> str:
    return ", ".join(render(expr, params) for expr in exprs)


def _order(order: Order, params: dict[str, Value]) -> str:
    return render(order.expr, params) + (" DESC" if order.is_descending else "")


def _checked(form: re.Pattern[str], name: str) -> str:
    if not form.match(name):
        raise ValueError(f"{name!r} may not stand in SQL text")
    return name
