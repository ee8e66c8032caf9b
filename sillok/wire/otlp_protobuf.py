"""OTLP logs in protobuf.

Source: opentelemetry-proto logs/v1/logs.proto, common/v1/common.proto, collector/logs/v1/logs_service.proto
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError

from sillok.errors import PushSyntaxError
from sillok.wire.otlp_records import Record, ResourceLogs, Scope, ScopeLogs
from sillok.wire.otlp_values import Attributes, Value, line_of
from sillok.wire.protobuf import Field, message_classes

# `bytes` where the protocol says string: what is not UTF-8 must not refuse the whole push.
_MESSAGES = message_classes(
    "sillok.otlp",
    {
        "Request": (Field("resource_logs", 1, "ResourceLogs", repeated=True),),
        "ResourceLogs": (Field("resource", 1, "Resource"), Field("scope_logs", 2, "ScopeLogs", repeated=True)),
        "Resource": (Field("attributes", 1, "KeyValue", repeated=True),),
        "ScopeLogs": (Field("scope", 1, "Scope"), Field("log_records", 2, "LogRecord", repeated=True)),
        "Scope": (
            Field("name", 1, "bytes"),
            Field("version", 2, "bytes"),
            Field("attributes", 3, "KeyValue", repeated=True),
            Field("dropped_attributes_count", 4, "uint32"),
        ),
        "LogRecord": (
            Field("time_unix_nano", 1, "fixed64"),
            Field("severity_number", 2, "int32"),
            Field("severity_text", 3, "bytes"),
            Field("body", 5, "AnyValue"),
            Field("attributes", 6, "KeyValue", repeated=True),
            Field("dropped_attributes_count", 7, "uint32"),
            Field("flags", 8, "fixed32"),
            Field("trace_id", 9, "bytes"),
            Field("span_id", 10, "bytes"),
            Field("observed_time_unix_nano", 11, "fixed64"),
            Field("event_name", 12, "bytes"),
        ),
        "KeyValue": (Field("key", 1, "bytes"), Field("value", 2, "AnyValue")),
        "AnyValue": (
            Field("string_value", 1, "bytes", oneof="value"),
            Field("bool_value", 2, "bool", oneof="value"),
            Field("int_value", 3, "int64", oneof="value"),
            Field("double_value", 4, "double", oneof="value"),
            Field("array_value", 5, "ArrayValue", oneof="value"),
            Field("kvlist_value", 6, "KeyValueList", oneof="value"),
            Field("bytes_value", 7, "bytes", oneof="value"),
        ),
        "ArrayValue": (Field("values", 1, "AnyValue", repeated=True),),
        "KeyValueList": (Field("values", 1, "KeyValue", repeated=True),),
    },
)


def read(body: bytes) -> Iterator[ResourceLogs]:
    """The export request in `body`.

    Raises:
        PushSyntaxError: `body` is none.
    """
    request = _MESSAGES["Request"]()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise PushSyntaxError("the body is not a protobuf ExportLogsServiceRequest") from None
    for resource in request.resource_logs:
        yield ResourceLogs(_attributes(resource.resource.attributes), map(_scope_logs, resource.scope_logs))


def _scope_logs(logs: Any) -> ScopeLogs:
    scope = logs.scope
    return ScopeLogs(
        Scope(_text(scope.name), _text(scope.version), _attributes(scope.attributes), scope.dropped_attributes_count),
        map(_record, logs.log_records),
    )


def _record(record: Any) -> Record:
    body = record.body
    return Record(
        record.time_unix_nano,
        record.observed_time_unix_nano,
        record.severity_number,
        _text(record.severity_text),
        # A line keeps its bytes, whether UTF-8 or not.
        body.string_value if body.HasField("string_value") else line_of(_value(body)),
        _attributes(record.attributes),
        record.dropped_attributes_count,
        record.flags,
        record.trace_id,
        record.span_id,
        _text(record.event_name),
    )


def _attributes(pairs: Iterable[Any]) -> Attributes:
    return {_text(pair.key): _value(pair.value) for pair in pairs}


def _value(value: Any) -> Value:
    match value.WhichOneof("value"):
        case None:
            return None
        case "string_value":
            return _text(value.string_value)
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case kind:
            scalar: bool | int | float | bytes = getattr(value, kind)
            return scalar


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
