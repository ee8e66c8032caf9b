"""OTLP logs over HTTP: the same export to Sillok and to the real Loki gives the same streams and lines."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import pytest

from tests.e2e.api import SECOND_NS, Api

START_NS = (time.time_ns() // SECOND_NS - 900) * SECOND_NS


def export(service: str) -> dict[str, Any]:
    """Two resources with a scope each, bodies and attributes of several types."""

    def attribute(key: str, **value: Any) -> dict[str, Any]:
        return {"key": key, "value": value}

    records = [
        {
            "timeUnixNano": str(START_NS + n),
            "observedTimeUnixNano": str(START_NS + n + 5),
            "severityNumber": 9 if n % 2 else 17,
            "severityText": "INFO" if n % 2 else "ERROR",
            "body": {"stringValue": f"order {n} placed"},
            "attributes": [attribute("user.id", stringValue=f"u{n}"), attribute("retries", intValue=str(n))],
            "traceId": f"{n:032x}",
            "spanId": f"{n:016x}",
            "flags": 1,
        }
        for n in range(1, 6)
    ]
    structured = [
        {"timeUnixNano": str(START_NS + 100), "body": {"kvlistValue": {"values": [attribute("a", intValue="1")]}}},
        {"timeUnixNano": str(START_NS + 101), "body": {"arrayValue": {"values": [{"intValue": "1"}]}}},
        {"timeUnixNano": str(START_NS + 102), "body": {"boolValue": True}},
        {"timeUnixNano": str(START_NS + 103), "body": {"doubleValue": 1.5}},
        {"observedTimeUnixNano": str(START_NS + 104), "body": {"stringValue": "only observed"}},
    ]
    return {
        "resourceLogs": [
            {
                "resource": {
                    "attributes": [
                        attribute("service.name", stringValue=service),
                        attribute("service.namespace", stringValue="shop"),
                        attribute("k8s.pod.name", stringValue="orders-1"),
                        attribute("host.name", stringValue="backend-instance"),
                    ]
                },
                "scopeLogs": [{"scope": {"name": "orders", "version": "1.2"}, "logRecords": records}],
            },
            {
                "resource": {"attributes": [attribute("service.name", stringValue=f"{service}-structured")]},
                "scopeLogs": [{"scope": {}, "logRecords": structured}],
            },
        ]
    }


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_export_becomes_the_lines_that_loki_makes_of_it(
    sillok_url: str, loki_url: str, job: str, encoding: str
) -> None:
    body = json.dumps(export(job)).encode()
    headers = {"Content-Type": "application/json"}
    if encoding == "gzip":
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    answers = []
    for url in (sillok_url, loki_url):
        api = Api(url)
        with api.http:
            pushed = api.http.post("/otlp/v1/logs", content=body, headers=headers)
            answer = api.http.get(
                "/loki/api/v1/query_range",
                params={"query": f'{{service_name=~"{job}.*"}}', "start": START_NS, "end": START_NS + SECOND_NS},
                headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
            )
            result = sorted(answer.json()["data"]["result"], key=lambda one: json.dumps(one, sort_keys=True))
            answers.append((pushed.status_code, result))

    ours, lokis = answers
    assert lokis == ours
    assert sum(len(stream["values"]) for stream in ours[1]) == 10


def test_the_path_of_an_opentelemetry_collector_works_too(sillok_url: str, job: str) -> None:
    """The exporter `otlphttp` appends /v1/logs to its endpoint."""
    api = Api(sillok_url)
    with api.http:
        assert api.http.post("/v1/logs", json=export(job)).status_code in (200, 204)

        found = api.lines(f'{{service_name="{job}"}}')

    assert [f"order {n} placed" for n in range(1, 6)] == sorted(found)
