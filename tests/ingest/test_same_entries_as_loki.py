"""The same push to Sillok and to the real Loki: the same streams, lines, metadata and levels are stored."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import cramjam
import httpx
import pytest

from sillok.model.push import Pushed
from sillok.store.engine import Engine
from sillok.wire import otlp_logs
from sillok.wire.loki_push import SentEntry, decode_json, decode_protobuf, encode_protobuf
from tests.ingest.loki import TENANTS, limits_of
from tests.ingest.real import RealBench

NOW = time.time_ns()
HOUR = 3_600_000_000_000
LOKI_PUSH = "/loki/api/v1/push"
OTLP_PUSH = "/otlp/v1/logs"
JSON = "application/json"
PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as a query shows it; `metadata` includes the detected level."""

    labels: frozenset[tuple[str, str]]
    time_ns: int
    line: str
    metadata: frozenset[tuple[str, str]]


def found_in_loki(url: str, tenant: str, selector: str) -> list[Stored]:
    reply = httpx.get(
        f"{url}/loki/api/v1/query_range",
        params={"query": selector, "start": NOW - 24 * HOUR, "end": NOW + HOUR, "limit": 1000},
        headers={"X-Scope-OrgID": tenant, "X-Loki-Response-Encoding-Flags": "categorize-labels"},
    )
    return [
        Stored(
            frozenset(stream["stream"].items()),
            int(value[0]),
            value[1],
            frozenset(value[2].get("structuredMetadata", {}).items()),
        )
        for stream in reply.raise_for_status().json()["data"]["result"]
        for value in stream["values"]
    ]


def found_here(bench: RealBench, tenant: str) -> list[Stored]:
    return [
        Stored(
            frozenset(bench.streams.labels(tenant, row["sid"]) or ()),
            row["ts"],
            row["line"].decode("utf-8", "replace"),
            frozenset([*row["meta"], *([("detected_level", row["level"])] if row["level"] else [])]),
        )
        for row in bench.rows(tenant)
    ]


@pytest.fixture
def marker() -> str:
    return uuid.uuid4().hex


def check(engine: Engine, url: str, *, path: str, body: bytes, content_type: str, tenant: str, marker: str) -> None:
    """Push `body` to both; here under a tenant of the test's own with the limits of `tenant`."""
    here = f"{tenant}-{marker}"
    bench = RealBench(engine, limits=lambda _: limits_of(tenant))
    receipt = bench.push(here, decode(path, body, content_type))
    assert receipt.error is None
    if (path, content_type) == (LOKI_PUSH, PROTOBUF):
        body = bytes(cramjam.snappy.compress_raw(body))
    reply = httpx.post(f"{url}{path}", content=body, headers={"X-Scope-OrgID": tenant, "Content-Type": content_type})
    assert reply.status_code == 204, reply.text
    label = "k8s_cluster_name" if path == OTLP_PUSH else "marker"
    expected = found_in_loki(url, tenant, f'{{{label}="{marker}"}}')
    assert expected
    assert sorted(found_here(bench, here), key=repr) == sorted(expected, key=repr)


def decode(path: str, body: bytes, content_type: str) -> Pushed:
    if path == OTLP_PUSH:
        return otlp_logs.decode(body, content_type=content_type)
    return decode_json(body) if content_type == JSON else decode_protobuf(body)


METADATA: dict[str, tuple[str, bytes, list[tuple[str, str]]]] = {
    # what: (more labels, line, metadata)
    "nothing": ("", b"hello", []),
    "a plain pair": ("", b"hello", [("trace_id", "abc")]),
    "the same name twice": ("", b"hello", [("k", "1"), ("k", "2")]),
    "an empty value": ("", b"hello", [("k", ""), ("z", "1")]),
    "a name with dots and dashes": ("", b"hello", [("k8s.pod-name", "v")]),
    "a name that begins with a digit": ("", b"hello", [("1a", "v")]),
    "a name with a run of other characters": ("", b"hello", [("a--b", "v")]),
    "a name with two underscores": ("", b"hello", [("a__b", "v")]),
    "a reserved name": ("", b"hello", [("__x__", "v")]),
    "a name that begins with a dash": ("", b"hello", [("-a", "v")]),
    "level in metadata": ("", b"hello", [("level", "ERROR")]),
    "an unknown level in metadata": ("", b"hello", [("level", "weird")]),
    "log.level is not a level once its name is settled": ("", b"hello", [("log.level", "ERROR")]),
    "severity in metadata": ("", b"hello", [("severity", "WARNING")]),
    "level goes before severity": ("", b"hello", [("severity", "WARNING"), ("level", "info")]),
    "an empty level is none": ("", b"level=error", [("level", "")]),
    "a detected level": ("", b"hello", [("detected_level", "ERR")]),
    "an unknown detected level": ("", b"hello", [("detected_level", "Weird")]),
    "a detected level goes before a level": ("", b"hello", [("detected_level", "ERR"), ("level", "info")]),
    "a label goes before metadata": (',level="Fatal"', b"hello", [("severity", "info")]),
    "an unknown level in a label": (',level="Foo"', b"hello", []),
    "an empty label is none": (',level=""', b"[error] x", []),
    "severity goes before lvl": (',severity="err",lvl="info"', b"hello", []),
    "a severity number": ("", b"hello", [("severity_number", "9")]),
    "a severity number that is none": ("", b"[error]", [("severity_number", "x")]),
    "a large severity number": ("", b"hello", [("severity_number", "99")]),
    "severity number 0": ("", b"hello", [("severity_number", "0")]),
    "a negative severity number": ("", b"hello", [("severity_number", "-5")]),
    "a severity number with a sign": ("", b"hello", [("severity_number", "+17")]),
    "a severity text goes before its number": ("", b"x", [("severity_number", "9"), ("severity_text", "ERROR")]),
    "a level in the line": ("", b"level=error msg=x", []),
    "bytes that are no text": ("", b"a\xff\xfeb", []),
    "an empty line": ("", b"", []),
    "a service from the first label of the list": (',container="c",app="a",job="j"', b"x", []),
    "a service name of its own": (',container="c",service_name="s"', b"x", []),
}


@pytest.mark.parametrize("case", METADATA.values(), ids=METADATA.keys())
def test_metadata_and_levels_are_kept_as_by_loki(
    engine: Engine, loki_url: str, marker: str, case: tuple[str, bytes, list[tuple[str, str]]]
) -> None:
    labels, line, metadata = case
    entry: SentEntry = (NOW, line, tuple(metadata), 77)
    body = encode_protobuf([(f'{{marker="{marker}"{labels}}}', [entry])])
    check(engine, loki_url, path=LOKI_PUSH, body=body, content_type=PROTOBUF, tenant="usual", marker=marker)


@pytest.mark.parametrize("tenant", ["no-service", "no-levels", "own-levels", "cut"])
def test_limits_that_change_entries_change_them_as_in_loki(
    engine: Engine, loki_url: str, marker: str, tenant: str
) -> None:
    assert tenant in TENANTS
    entries: list[SentEntry] = [
        (NOW, b"level=error " + b"x" * 120, (("prio", "WARN"), ("level", "debug")), None),
        (NOW + 1, b"level=info short", (("severity", "fatal"),), None),
        (NOW + 2, b"error", (), None),
        (NOW + 3, b"x", (("detected_level", "ERR"),), None),
    ]
    body = encode_protobuf([(f'{{marker="{marker}",app="a"}}', entries)])
    check(engine, loki_url, path=LOKI_PUSH, body=body, content_type=PROTOBUF, tenant=tenant, marker=marker)


def test_a_json_push_becomes_the_entries_it_becomes_in_loki(engine: Engine, loki_url: str, marker: str) -> None:
    streams = [
        {
            "stream": {"marker": marker, "app": "ö", "empty": ""},
            "values": [
                [str(NOW), "a line"],
                [str(NOW - 5), "out of order", {"trace.id": "1", "level": "warn"}],
                [str(NOW + 5), "four items", {}, "x"],
                [str(NOW + 6)],
                [str(NOW + 7), 'quotes " \\ \n \u0001 é 😀'],
            ],
        },
        {"stream": {"marker": marker}, "values": [[str(NOW), "another stream"]]},
        {"stream": {"marker": marker, "x": "no values"}},
    ]
    body = json.dumps({"streams": streams}).encode()
    check(engine, loki_url, path=LOKI_PUSH, body=body, content_type=JSON, tenant="usual", marker=marker)


def attribute(key: str, value: Any = None, **kinds: Any) -> dict[str, Any]:
    return {"key": key, "value": kinds or {"stringValue": value}}


def kvlist(*pairs: dict[str, Any]) -> dict[str, Any]:
    return {"kvlistValue": {"values": list(pairs)}}


def array(*values: dict[str, Any]) -> dict[str, Any]:
    return {"arrayValue": {"values": list(values)}}


BINARY = base64.b64encode(b"\xff\x00").decode()
NESTED = array(
    {"stringValue": 'a<b>&"\\\u2028\u0001\n é'},
    {"intValue": "3"},
    {"doubleValue": 1.0},
    {"doubleValue": 1e21},
    {"doubleValue": 1e-7},
    {"boolValue": False},
    {},
    {"bytesValue": BINARY},
    kvlist(attribute("z", "1"), attribute("b", intValue="2")),
)

RECORDS: dict[str, dict[str, Any]] = {
    "attributes of all kinds": {
        "attributes": [
            attribute("a.b", "1"),
            attribute("int", intValue="5"),
            attribute("number", intValue=6),
            *(
                attribute(f"double{n}", doubleValue=value)
                for n, value in enumerate(
                    [1.0, -0.0, 0.1, 1e21, 1e20, 1e-6, 1e-7, 123456789.25, 1.5e300, 5e-324, "NaN", "Infinity"]
                )
            ),
            attribute("bool", boolValue=True),
            attribute("bytes", bytesValue=BINARY),
            attribute("array", **NESTED),
            attribute("map", **kvlist(attribute("x.y", "1"), attribute("n", **kvlist(attribute("deep", "2"))))),
            attribute("list.in.map", **kvlist(attribute("l", **array({"intValue": "3"})))),
            {"key": "empty", "value": {}},
            {"key": "absent"},
            attribute("k", "1"),
            attribute("k", "2"),
        ]
    },
    "a map as body": {"body": kvlist(attribute("z", "1<"), attribute("b", **NESTED), attribute("d", doubleValue=0.1))},
    "a list as body": {"body": NESTED},
    "a list with a number that JSON has not": {"body": array({"doubleValue": "NaN"})},
    "an integer as body": {"body": {"intValue": "-42"}},
    "a double as body": {"body": {"doubleValue": 3.5}},
    "no number as body": {"body": {"doubleValue": "NaN"}},
    "infinity as body": {"body": {"doubleValue": "-Infinity"}},
    "a boolean as body": {"body": {"boolValue": False}},
    "bytes as body": {"body": {"bytesValue": BINARY}},
    "no body": {"body": {}},
    "a severity": {"severityNumber": 17, "severityText": "Error"},
    "a severity by name": {"severityNumber": "SEVERITY_NUMBER_WARN2"},
    "a severity text of its own": {"severityText": "boo"},
    "a severity number": {"severityNumber": 9},
    "a trace": {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "flags": 1,
        "droppedAttributesCount": 3,
        "observedTimeUnixNano": str(NOW + 5),
    },
    "a trace of zeros": {"traceId": "0" * 32, "spanId": "0" * 16},
    "an event": {"eventName": "checkout"},
    "only an observed time": {"timeUnixNano": "0", "observedTimeUnixNano": str(NOW)},
    "a time as a number": {"timeUnixNano": NOW},
    "unknown fields": {"foo": {"bar": [1, {"x": None}]}, "body": {"stringValue": "x", "unknown": 1}},
}

RESOURCES: dict[str, list[dict[str, Any]]] = {
    "no service": [],
    "a service from the first label of the list": [attribute("k8s.job.name", "j"), attribute("container.name", "c")],
    "an empty service name": [attribute("service.name", ""), attribute("container.name", "c")],
    "a service name that is a number": [attribute("service.name", intValue="5")],
    "all that become labels": [
        attribute(name, name[-9:]) for name in sorted(otlp_logs.INDEX_LABELS - {"k8s.cluster.name"})[3:]
    ],
    "others become metadata": [
        attribute("service.name", "s"),
        attribute("host.name", "h"),
        attribute("process.pid", intValue="7"),
        attribute("os", **kvlist(attribute("type", "linux"))),
    ],
}
SCOPE = {"name": "lib", "version": "1.2", "attributes": [attribute("s.a", "1")], "droppedAttributesCount": 2}


def export(
    marker: str,
    record: dict[str, Any],
    *,
    resource: list[dict[str, Any]] | None = None,
    scope: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The marker stands in `k8s.cluster.name`, which becomes a label."""
    attributes = [*(resource if resource is not None else [attribute("service.name", "shop")])]
    plain = {"timeUnixNano": str(NOW), "body": {"stringValue": "x"}}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": [*attributes, attribute("k8s.cluster.name", marker)]},
                "scopeLogs": [{"scope": scope or {}, "logRecords": [{**plain, **record}]}],
            }
        ]
    }


def check_otlp(engine: Engine, url: str, marker: str, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    check(engine, url, path=OTLP_PUSH, body=content, content_type=JSON, tenant="usual", marker=marker)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_otlp_records_become_the_entries_they_become_in_loki(
    engine: Engine, loki_url: str, marker: str, record: dict[str, Any]
) -> None:
    check_otlp(engine, loki_url, marker, export(marker, record))


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES.keys())
def test_otlp_resources_become_the_labels_they_become_in_loki(
    engine: Engine, loki_url: str, marker: str, resource: list[dict[str, Any]]
) -> None:
    check_otlp(engine, loki_url, marker, export(marker, {}, resource=resource))


def test_otlp_scopes_become_metadata_as_in_loki(engine: Engine, loki_url: str, marker: str) -> None:
    record = {"attributes": [attribute("s.a", "of the record"), attribute("k", "1")]}
    check_otlp(engine, loki_url, marker, export(marker, record, scope=SCOPE))
