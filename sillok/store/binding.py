"""Bound values in the text form that the engine reads parameters in.

Source: a `{name:Type}` parameter is read in ClickHouse's *escaped* format (TSV's), the elements of an array
in its quoted format inside.
"""

from __future__ import annotations

from collections.abc import Mapping

from sillok.sql.statement import Value

_ESCAPED = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f", "'": "\\'"}
)


def bind(params: Mapping[str, Value]) -> dict[str, str]:
    return {name: _text(value) for name, value in params.items()}


def _text(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case bytes():
            return value.hex()
        case str():
            return value.translate(_ESCAPED)
        case tuple():
            return "[" + ",".join(_element(item) for item in value) + "]"


def _element(item: str | int) -> str:
    return f"'{item.translate(_ESCAPED)}'" if isinstance(item, str) else repr(item)
