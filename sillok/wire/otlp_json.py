"""OTLP logs in JSON: protobuf's JSON mapping with hexadecimal ids.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding; the Collector's reader, which also takes
        names in snake_case, numbers as strings and unknown fields
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import orjson

from sillok.errors import PushSyntaxError
from sillok.wire.otlp_records import Record, ResourceLogs, Scope, ScopeLogs
from sillok.wire.otlp_values import Attributes, Value, line_of

MAX_DEPTH = 64  # of nested values

_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_SEVERITY_NUMBERS = {"SEVERITY_NUMBER_UNSPECIFIED": 0} | {
    f"SEVERITY_NUMBER_{level}{step if step > 1 else ''}": 4 * index + step
    for index, level in enumerate(_LEVELS)
    for step in (1, 2, 3, 4)
}
_INT64 = range(-(1 << 63), 1 << 63)
_UINT64 = range(1 << 64)

_Object: TypeAlias = Mapping[str, Any]


def read(body: bytes) -> Iterator[ResourceLogs]:
    """The export request in `body`.

    Raises:
        PushSyntaxError: `body` is none.
    """
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PushSyntaxError(f"the body is not JSON: {error}") from None
    for resource in _objects(_object(request), "resourceLogs", "resource_logs"):
        attributes = _attributes(_object(resource.get("resource")))
        yield ResourceLogs(attributes, map(_scope_logs, _objects(resource, "scopeLogs", "scope_logs")))


def _scope_logs(logs: _Object) -> ScopeLogs:
    scope = _object(logs.get("scope"))
    return ScopeLogs(
        Scope(
            _string(scope.get("name")),
            _string(scope.get("version")),
            _attributes(scope),
            _count(scope, "droppedAttributesCount", "dropped_attributes_count"),
        ),
        map(_record, _objects(logs, "logRecords", "log_records")),
    )


def _record(record: _Object) -> Record:
    return Record(
        _count(record, "timeUnixNano", "time_unix_nano"),
        _count(record, "observedTimeUnixNano", "observed_time_unix_nano"),
        _severity(_either(record, "severityNumber", "severity_number")),
        _string(_either(record, "severityText", "severity_text")),
        line_of(_value(record.get("body"), 0)),
        _attributes(record),
        _count(record, "droppedAttributesCount", "dropped_attributes_count"),
        _count(record, "flags", "flags"),
        _id(_either(record, "traceId", "trace_id")),
        _id(_either(record, "spanId", "span_id")),
        _string(_either(record, "eventName", "event_name")),
    )


def _attributes(owner: _Object) -> Attributes:
    return _pairs(_objects(owner, "attributes", "attributes"), 0)


def _pairs(pairs: Iterable[_Object], depth: int) -> Attributes:
    return {_string(pair.get("key")): _value(pair.get("value"), depth) for pair in pairs}


def _value(value: Any, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise PushSyntaxError(f"values are nested more than {MAX_DEPTH} deep")
    for kind, content in _object(value).items():
        match kind:
            case "stringValue" | "string_value":
                return _string(content)
            case "boolValue" | "bool_value":
                return content is True
            case "intValue" | "int_value":
                return _integer(content, _INT64)
            case "doubleValue" | "double_value":
                return _double(content)
            case "bytesValue" | "bytes_value":
                return _bytes(content)
            case "arrayValue" | "array_value":
                return [_value(item, depth + 1) for item in _objects(_object(content), "values", "values")]
            case "kvlistValue" | "kvlist_value":
                return _pairs(_objects(_object(content), "values", "values"), depth + 1)
    return None


def _either(owner: _Object, camel: str, snake: str) -> Any:
    return owner[camel] if camel in owner else owner.get(snake)


def _object(value: Any) -> _Object:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PushSyntaxError(f"expected an object, but found {_shown(value)}")
    return value


def _objects(owner: _Object, camel: str, snake: str) -> list[_Object]:
    values = _either(owner, camel, snake)
    if values is None:
        return []
    if not isinstance(values, list):
        raise PushSyntaxError(f'"{camel}": expected a list, but found {_shown(values)}')
    return [_object(value) for value in values]


def _string(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PushSyntaxError(f"expected a string, but found {_shown(value)}")
    return value


def _count(owner: _Object, camel: str, snake: str) -> int:
    value = _either(owner, camel, snake)
    return 0 if value is None else _integer(value, _UINT64)


def _integer(value: Any, allowed: range) -> int:
    try:
        number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None or number not in allowed:
        raise PushSyntaxError(f"expected an integer, but found {_shown(value)}")
    return number


def _double(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise PushSyntaxError(f"expected a number, but found {_shown(value)}") from None


def _severity(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, str) and value in _SEVERITY_NUMBERS:
        return _SEVERITY_NUMBERS[value]
    return _integer(value, _INT64)


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_string(value), validate=True)
    except binascii.Error:
        raise PushSyntaxError(f"expected base64, but found {_shown(value)}") from None


def _id(value: Any) -> bytes:
    try:
        return bytes.fromhex(_string(value))
    except ValueError:
        raise PushSyntaxError(f"expected a hexadecimal id, but found {_shown(value)}") from None


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 40 else f"{text[:40]}…"
