"""`POST /loki/api/v1/push`. Statuses and texts were recorded from the real Loki."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import cramjam
import httpx
import pytest

from sillok.errors import Overloaded, StoreFull
from sillok.http.settings import HttpLimits, ServerSettings
from sillok.model.origin import batch_of
from sillok.model.push import EntryColumns, Receipt
from sillok.wire.loki_push import encode_protobuf
from tests.server.fakes import FakeIngest, app, client

pytestmark = pytest.mark.anyio

PATH = "/loki/api/v1/push"
TIME_NS = 1_795_235_038_000_000_000
JSON_BODY = json.dumps({"streams": [{"stream": {"a": "b"}, "values": [[str(TIME_NS), "실록"]]}]}).encode()
PROTOBUF_BODY = encode_protobuf([('{a="b"}', [(TIME_NS, "실록".encode(), (), None)])])
JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def snap(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def zstd(body: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(body))


async def push(ingest: FakeIngest, body: bytes, headers: dict[str, str], **settings: Any) -> httpx.Response:
    async with client(app(ingest, settings=ServerSettings(**settings))) as http:
        return await http.post(PATH, content=body, headers=headers)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (JSON_BODY, JSON),
        (JSON_BODY, {"Content-Type": "application/json; charset=utf-8"}),
        (JSON_BODY, {**JSON, "Content-Encoding": "snappy"}),  # Loki reads it as it is
        (gzip.compress(JSON_BODY), {**JSON, "Content-Encoding": "gzip"}),
        (raw_deflate(JSON_BODY), {**JSON, "Content-Encoding": "deflate"}),
        (zlib.compress(JSON_BODY), {**JSON, "Content-Encoding": "deflate"}),
        (zstd(JSON_BODY), {**JSON, "Content-Encoding": "zstd"}),
        (snap(PROTOBUF_BODY), PROTOBUF),
        (snap(PROTOBUF_BODY), {**PROTOBUF, "Content-Encoding": "snappy"}),
        (snap(PROTOBUF_BODY), {"Content-Type": "text/plain"}),
        (gzip.compress(snap(PROTOBUF_BODY)), {**PROTOBUF, "Content-Encoding": "gzip"}),
        (gzip.compress(PROTOBUF_BODY), {**PROTOBUF, "Content-Encoding": "gzip"}),
        (zstd(snap(PROTOBUF_BODY)), {**PROTOBUF, "Content-Encoding": "zstd"}),
        (zstd(PROTOBUF_BODY), {**PROTOBUF, "Content-Encoding": "zstd"}),
    ],
)
async def test_a_push_is_taken_in_every_encoding(body: bytes, headers: dict[str, str]) -> None:
    ingest = FakeIngest()

    answer = await push(ingest, body, headers)

    assert (answer.status_code, answer.content) == (204, b"")
    tenant, pushed, batch, is_named = ingest.pushes[0]
    assert (tenant, is_named) == ("fake", False)
    assert batch == batch_of("fake", body)
    assert len(pushed.streams) == 1
    if isinstance(pushed.streams[0].entries, EntryColumns):
        assert pushed.streams[0].entries.lines == ["실록".encode()]


@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        (b"", {}, "mime: no media type"),
        (b"zzzz", {"Content-Type": "bad;;;="}, "mime: invalid media parameter"),
        (b"zzzz", {"Content-Type": "a/b/c"}, "mime: unexpected content after media subtype"),
        (b"zzzz", {"Content-Type": "a/"}, "mime: expected token after slash"),
        (b"zzzz", {"Content-Type": "; charset=x"}, "mime: no media type"),
        (b"x", {"Content-Type": "text/plain"}, "snappy: corrupt input"),
        (b"not gzip", {**JSON, "Content-Encoding": "gzip"}, "gzip: invalid header"),
        (b"zzzz", PROTOBUF, "snappy: corrupt input"),
        (b"x", {**JSON, "Content-Encoding": "br"}, 'Content-Encoding "br" not supported'),
        (gzip.compress(JSON_BODY)[:-9], {**JSON, "Content-Encoding": "gzip"}, "unexpected EOF"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_lokis_words(body: bytes, headers: dict[str, str], text: str) -> None:
    ingest = FakeIngest()

    answer = await push(ingest, body, headers)

    assert (answer.status_code, answer.text) == (400, f"{text}\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert ingest.pushes == []


async def test_a_push_without_a_tenant_is_refused_before_its_body_is_looked_at() -> None:
    answer = await push(FakeIngest(), b"", {}, auth_enabled=True)

    assert (answer.status_code, answer.text) == (401, "no org id\n")


async def test_a_body_that_is_too_large_or_decompresses_to_too_much_is_413() -> None:
    limits = HttpLimits(max_push_body_bytes=10_000, max_decompressed_bytes=100_000)
    bomb = gzip.compress(b'{"streams":[' + b" " * 5_000_000 + b"]}")
    block = snap(bytes(5_000_000))[:9000]

    large = await push(FakeIngest(), b" " * 10_001, JSON, limits=limits)
    bombed = await push(FakeIngest(), bomb, {**JSON, "Content-Encoding": "gzip"}, limits=limits)
    snapped = await push(FakeIngest(), block, PROTOBUF, limits=limits)

    assert len(bomb) < 10_000
    assert (large.status_code, large.text) == (413, "request body too large: limit 10000 bytes\n")
    assert (bombed.status_code, bombed.text) == (413, "request body too large: limit 100000 bytes\n")
    assert snapped.status_code == 413


async def test_the_receipt_says_what_became_of_the_batch() -> None:
    named = "00112233445566778899aabbccddeeff"
    ingest = FakeIngest(outcome=lambda batch: Receipt(batch, 2, duplicates=1))

    answer = await push(ingest, JSON_BODY, {**JSON, "X-Sillok-Batch": named})

    assert answer.status_code == 204
    assert json.loads(answer.headers["x-sillok-receipt"]) == {
        "batch": named,
        "stored": 2,
        "duplicates": 1,
        "refused": {},
    }
    assert ingest.pushes[0][2:] == (bytes.fromhex(named), True)


@pytest.mark.parametrize("name", ["", "xyz", "0" * 31, "0" * 33, "0" * 64, "g" * 32])
async def test_a_batch_id_that_is_none_is_refused(name: str) -> None:
    answer = await push(FakeIngest(), JSON_BODY, {**JSON, "X-Sillok-Batch": name})

    assert (answer.status_code, answer.text) == (400, "X-Sillok-Batch is not 32 hexadecimal digits\n")


@pytest.mark.parametrize(("reason", "status"), [("line_too_long", 400), ("rate_limited", 429)])
async def test_refused_entries_are_told_in_lokis_text_and_counted_in_the_receipt(reason: str, status: int) -> None:
    text = "Max entry size '262144' bytes exceeded for stream '{a=\"b\"}'"
    ingest = FakeIngest(outcome=lambda batch: Receipt(batch, 3, refused={reason: 2}, error=text))

    answer = await push(ingest, JSON_BODY, JSON)

    assert (answer.status_code, answer.text) == (status, f"{text}\n")
    receipt = json.loads(answer.headers["x-sillok-receipt"])
    assert (receipt["stored"], receipt["refused"]) == (3, {reason: 2})


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [(Overloaded("the ingest queue is full", retry_after_s=0.3), 429, "1"), (StoreFull("no room"), 503, "10")],
)
async def test_who_finds_no_room_is_told_when_to_come_back(error: Exception, status: int, retry_after: str) -> None:
    answer = await push(FakeIngest(outcome=error), JSON_BODY, JSON)

    assert (answer.status_code, answer.text) == (status, f"{error}\n")
    assert answer.headers["retry-after"] == retry_after


async def test_the_old_path_of_pushes_works_too() -> None:
    ingest = FakeIngest()
    async with client(app(ingest)) as http:
        assert (await http.post("/api/prom/push", content=JSON_BODY, headers=JSON)).status_code == 204

    assert len(ingest.pushes) == 1


async def test_a_large_push_is_decoded_beside_the_event_loop() -> None:
    lines = [[str(TIME_NS + n), "x" * 200] for n in range(2000)]
    ingest = FakeIngest()

    answer = await push(ingest, json.dumps({"streams": [{"stream": {"a": "b"}, "values": lines}]}).encode(), JSON)

    assert answer.status_code == 204
    assert json.loads(answer.headers["x-sillok-receipt"])["stored"] == 2000
