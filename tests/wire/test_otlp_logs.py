"""OTLP logs become entries. That these are Loki's is compared in tests/ingest/test_same_entries_as_loki.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.errors import PushSyntaxError
from sillok.model.push import NO_TIME, EntryColumns, PushedStream
from sillok.wire import otlp_logs
from sillok.wire.otlp_logs import JSON, PROTOBUF, decode
from sillok.wire.otlp_protobuf import _MESSAGES
from sillok.wire.otlp_values import text_of

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def attribute(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


EXPORT: dict[str, Any] = {
    "resourceLogs": [
        {
            "resource": {
                "attributes": [
                    attribute("service.name", stringValue="shop"),
                    attribute("host.name", stringValue="h"),
                    attribute("os", kvlistValue={"values": [attribute("type", stringValue="linux")]}),
                ]
            },
            "scopeLogs": [
                {
                    "scope": {"name": "lib", "version": "1", "attributes": [attribute("s.a", intValue="1")]},
                    "logRecords": [
                        {
                            "timeUnixNano": "5",
                            "observedTimeUnixNano": "6",
                            "severityNumber": 9,
                            "severityText": "Info",
                            "body": {"stringValue": "hello"},
                            "attributes": [attribute("user.id", doubleValue=1.5)],
                            "droppedAttributesCount": 2,
                            "flags": 1,
                            "traceId": TRACE,
                            "spanId": SPAN,
                            "eventName": "checkout",
                        },
                        {"observedTimeUnixNano": "7", "body": {"boolValue": True}},
                        {"body": {"bytesValue": "/wA="}},
                    ],
                }
            ],
        }
    ]
}
SHARED = (("host_name", "h"), ("os_type", "linux"), ("s_a", "1"), ("scope_name", "lib"), ("scope_version", "1"))
OF_THE_FIRST = (
    ("user_id", "1.5"),
    ("observed_timestamp", "6"),
    ("severity_number", "9"),
    ("severity_text", "Info"),
    ("dropped_attributes_count", "2"),
    ("flags", "1"),
    ("trace_id", TRACE),
    ("span_id", SPAN),
    ("event_name", "checkout"),
)
STREAM = PushedStream(
    (("service_name", "shop"),),
    EntryColumns([5, 7, NO_TIME], [b"hello", b"true", b"/wA="], [(*OF_THE_FIRST, *SHARED), SHARED, SHARED]),
)


def in_protobuf(export: dict[str, Any]) -> bytes:
    """The JSON export as protobuf, for the fields that EXPORT uses."""

    def convert(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {snake(key): convert(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [convert(inner) for inner in value]
        if name in ("traceId", "spanId"):
            return bytes.fromhex(value)
        if name == "bytesValue":
            return b"\xff\x00"
        if name.endswith(("UnixNano", "intValue")):
            return int(value)
        return value.encode() if isinstance(value, str) else value

    def snake(name: str) -> str:
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)

    body: bytes = _MESSAGES["Request"](**convert(export)).SerializeToString()
    return body


def test_a_json_export_becomes_a_stream() -> None:
    assert decode(json.dumps(EXPORT).encode(), content_type=JSON).streams == (STREAM,)


def test_a_protobuf_export_becomes_the_same_stream() -> None:
    assert decode(in_protobuf(EXPORT), content_type=PROTOBUF).streams == (STREAM,)


def test_a_line_of_a_protobuf_export_keeps_its_bytes() -> None:
    message = _MESSAGES["Request"](
        resource_logs=[{"scope_logs": [{"log_records": [{"time_unix_nano": 1, "body": {"string_value": b"a\xff"}}]}]}]
    )
    pushed = decode(message.SerializeToString(), content_type=PROTOBUF)
    assert pushed.streams == (PushedStream((), EntryColumns([1], [b"a\xff"], [()])),)


def test_resources_with_the_same_labels_are_one_stream() -> None:
    twice = {"resourceLogs": EXPORT["resourceLogs"] * 2}
    (stream,) = decode(json.dumps(twice).encode(), content_type=JSON).streams
    assert isinstance(stream.entries, EntryColumns)
    assert len(stream.entries.lines) == 6


@pytest.mark.parametrize("body", [b"{}", b'{"resourceLogs": []}', b'{"resourceLogs": [{"scopeLogs": [{}]}]}'])
def test_an_export_without_records_has_no_streams(body: bytes) -> None:
    assert decode(body, content_type=JSON).streams == ()


def one_record(**record: Any) -> bytes:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    return value


MALFORMED = {
    "not JSON": b'{"resourceLogs":',
    "a list": b"[]",
    "a number for a list": b'{"resourceLogs": 5}',
    "a list of numbers": b'{"resourceLogs": [5]}',
    "an id that is not hexadecimal": one_record(traceId="zz"),
    "a short trace id": one_record(traceId="abcd"),
    "a long span id": one_record(spanId=TRACE),
    "a word for an integer": one_record(body={"intValue": "x"}),
    "an integer too large": one_record(body={"intValue": str(1 << 63)}),
    "a word for a time": one_record(timeUnixNano="x"),
    "a time before all times": one_record(timeUnixNano="-1"),
    "a number for a string": one_record(severityText=5),
    "a word for a double": one_record(body={"doubleValue": "x"}),
    "a severity nobody knows": one_record(severityNumber="LOUD"),
    "what is not base64": one_record(body={"bytesValue": "%"}),
    "values nested too deep": one_record(body=nested(100)),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_json_of_another_shape_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(PushSyntaxError) as refused:
        decode(body, content_type=JSON)
    assert 10 < len(str(refused.value)) < 300


@pytest.mark.parametrize("body", [b"\xff\xff", in_protobuf({"resourceLogs": []}) + b"\x0a\x05"])
def test_what_is_no_protobuf_is_refused(body: bytes) -> None:
    with pytest.raises(PushSyntaxError):
        decode(body, content_type=PROTOBUF)


def test_another_content_type_is_refused() -> None:
    with pytest.raises(PushSyntaxError, match="content type: text/plain is not supported"):
        otlp_logs.decode(b"", content_type="text/plain")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_the_same(value: float) -> None:
    assert float(text_of(value)) == value
    assert text_of([value]) == f"[{text_of(value)}]"
