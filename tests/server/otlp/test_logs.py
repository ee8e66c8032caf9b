"""`POST /otlp/v1/logs`: content types, encodings, and OTLP's own form of answers."""

from __future__ import annotations

import gzip
import json

import cramjam
import httpx
import pytest

from sillok.errors import Overloaded
from sillok.model.push import Receipt
from tests.server.fakes import FakeIngest, app, client

pytestmark = pytest.mark.anyio

RECORD = {"timeUnixNano": "1795235038000000000", "body": {"stringValue": "order placed"}}
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
BODY = json.dumps({"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": [RECORD]}]}]}).encode()
JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


async def export(
    ingest: FakeIngest, body: bytes, headers: dict[str, str], path: str = "/otlp/v1/logs"
) -> httpx.Response:
    async with client(app(ingest)) as http:
        return await http.post(path, content=body, headers=headers)


@pytest.mark.parametrize("path", ["/otlp/v1/logs", "/v1/logs"])
@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BODY, "identity"),
        (gzip.compress(BODY), "gzip"),
        (bytes(cramjam.zstd.compress(BODY)), "zstd"),
        (bytes(cramjam.snappy.compress(BODY)), "snappy"),
    ],
)
async def test_an_export_is_taken_on_both_paths_in_every_encoding(path: str, body: bytes, encoding: str) -> None:
    ingest = FakeIngest()

    answer = await export(ingest, body, {**JSON, "Content-Encoding": encoding}, path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert json.loads(answer.headers["x-sillok-receipt"])["stored"] == 1
    assert len(ingest.pushes[0][1].streams) == 1


async def test_what_was_refused_is_told_as_a_partial_success() -> None:
    ingest = FakeIngest(outcome=lambda batch: Receipt(batch, 3, refused={"line_too_long": 2}, error="too long"))

    as_json = await export(ingest, BODY, JSON)
    as_protobuf = await export(ingest, b"", PROTOBUF)

    assert as_json.status_code == 200
    assert as_json.json() == {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "too long"}}
    assert as_protobuf.content == b"\x0a\x0c\x08\x02\x12\x08too long"
    assert as_protobuf.headers["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize(("reason", "status"), [("line_too_long", 400), ("rate_limited", 429)])
async def test_when_nothing_was_taken_the_answer_is_an_error(reason: str, status: int) -> None:
    ingest = FakeIngest(outcome=lambda batch: Receipt(batch, 0, refused={reason: 2}, error="no"))

    answer = await export(ingest, BODY, JSON)

    assert (answer.status_code, answer.json()) == (status, {"message": "no"})


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"xx", JSON, 400),
        (b"xx", {"Content-Type": "text/plain"}, 400),
        (b"xx", {}, 400),
        (b"\xff\xff", PROTOBUF, 400),
        (b"xx", {**JSON, "Content-Encoding": "br"}, 400),
    ],
)
async def test_errors_are_a_status_message(body: bytes, headers: dict[str, str], status: int) -> None:
    answer = await export(FakeIngest(), body, headers)

    assert answer.status_code == status
    if headers.get("Content-Type") == "application/json":
        assert answer.json().keys() == {"message"}
    else:
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert answer.content[:1] == b"\x12"


async def test_who_finds_no_room_is_told_when_to_come_back() -> None:
    answer = await export(FakeIngest(outcome=Overloaded("full", retry_after_s=2)), BODY, JSON)

    assert (answer.status_code, answer.headers["retry-after"], answer.json()) == (429, "2", {"message": "full"})
