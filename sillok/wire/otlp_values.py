"""OTLP's values as plain Python values, and as the text Loki keeps of them.

A value is a string, a boolean, an integer, a float, bytes, a list, a dict (OTLP's key-value list) or None.

Source: opentelemetry-collector pdata/pcommon/value.go `AsString`; Go encoding/json for what is nested
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from sillok.wire.label_names import label_name

Value: TypeAlias = "str | bool | int | float | bytes | list[Value] | dict[str, Value] | None"
Attributes: TypeAlias = dict[str, Value]

_FIXED_FROM, _FIXED_TO = 1e-6, 1e21  # outside, Go and JavaScript write an exponent


def text_of(value: Value) -> str:
    """What a log line or an attribute says when it is not a string."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case list() | dict():
            return _json_or_nothing(value)
        case _:
            return _scalar(value)


def line_of(value: Value) -> bytes:
    return text_of(value).encode("utf-8", "replace")


def flattened(attributes: Mapping[str, Value], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Attributes as (label name, text) pairs; nested ones joined with an underscore."""
    for key, value in attributes.items():
        name = label_name(f"{prefix}_{key}" if prefix else key)
        if isinstance(value, dict):
            yield from flattened(value, name)
        else:
            yield name, text_of(value)


def _scalar(value: bool | int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _float(value) if isinstance(value, float) else str(value)


def _float(value: float) -> str:
    """The shortest text that reads back the same, with Go's exponents: `1e+21`, `1e-7`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or _FIXED_FROM <= abs(value) < _FIXED_TO:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    digits, _, exponent = repr(value).partition("e")
    return f"{digits.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"


def _json_or_nothing(value: list[Value] | dict[str, Value]) -> str:
    try:
        return _json(value)
    except ValueError:  # NaN and infinities have no JSON, and Go then gives up on the whole
        return ""


def _json(value: Value) -> str:
    """JSON as Go writes it: keys sorted, no spaces."""
    match value:
        case None:
            return "null"
        case str():
            return _json_string(value)
        case bytes():
            return _json_string(base64.b64encode(value).decode())
        case list():
            return f"[{','.join(map(_json, value))}]"
        case dict():
            return "{" + ",".join(f"{_json_string(key)}:{_json(value[key])}" for key in sorted(value)) + "}"
        case float() if not math.isfinite(value):
            raise ValueError("not a JSON number")
        case _:
            return _scalar(value)


def _json_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
