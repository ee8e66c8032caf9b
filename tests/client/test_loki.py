"""The clients of Loki's API: what they ask, what they make of answers, and what they say when there is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cramjam
import httpx
import pytest

from sillok.client.loki import Access, LogEntry, PushClient, QueryClient
from sillok.errors import BadRequest, ConfigError, RemoteFailed
from sillok.model.origin import BATCH_HEADER, RECEIPT_HEADER
from sillok.wire.loki_push import decode_protobuf
from tests.processes import free_port

BATCH = bytes(range(16))
LABELS = (("app", "api"), ("host", "a"))


def query_client(answer: Callable[[httpx.Request], httpx.Response], **access: str) -> QueryClient:
    return QueryClient(Access("http://sillok.test:3100", **access), transport=httpx.MockTransport(answer))  # type: ignore[arg-type]


def push_client(answer: Callable[[httpx.Request], httpx.Response]) -> PushClient:
    return PushClient(Access("http://sillok.test:3100"), transport=httpx.MockTransport(answer))


def streams(*values: list[object], **labels: str) -> httpx.Response:
    result = [{"stream": labels, "values": list(values)}]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "streams", "result": result}})


def test_an_answer_with_lines_becomes_entries() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/loki/api/v1/query_range"
        assert dict(request.url.params) == {
            "query": '{app="api"}',
            "start": "1",
            "end": "9",
            "limit": "5",
            "direction": "forward",
        }
        return streams(["7", "hello", {"trace": "x"}], ["8", "you"], app="api")

    with query_client(answer) as client:
        found = client.query_range('{app="api"}', start_ns=1, end_ns=9, limit=5, newest_first=False)
    assert found.entries == (
        LogEntry(7, "hello", (("app", "api"),), (("trace", "x"),)),
        LogEntry(8, "you", (("app", "api"),)),
    )


def test_tenant_and_token_travel_with_every_request() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["X-Scope-OrgID"] == "team"
        assert request.headers["Authorization"] == "Bearer secret"
        return httpx.Response(200, json={"status": "success", "data": ["a"]})

    with query_client(answer, tenant="team", token="secret") as client:
        assert client.labels(start_ns=1, end_ns=2) == ["a"]


def test_basic_credentials_travel_with_every_request() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Basic dTpw"
        return httpx.Response(200, json={"status": "success"})

    with query_client(answer, user="u", password="p") as client:
        assert client.label_values("a", start_ns=1, end_ns=2) == []


def test_series_are_label_sets_in_order() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params.get_list("match[]") == ['{a="1"}', '{b="2"}']
        return httpx.Response(200, json={"status": "success", "data": [{"b": "2"}, {"a": "1", "c": ""}]})

    with query_client(answer) as client:
        assert client.series(['{a="1"}', '{b="2"}'], start_ns=1, end_ns=2) == [(("a", "1"),), (("b", "2"),)]


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (httpx.Response(400, text="parse error at line 1, col 3\n"), "answered 400: parse error at line 1, col 3"),
        (httpx.Response(400, json={"status": "error", "error": "too long"}), "answered 400: too long"),
        (httpx.Response(401, text="no org id"), "give --org-id"),
        (httpx.Response(401, text="wrong credentials"), "give --token-file"),
        (httpx.Response(404, text="404 page not found"), "is this the right address?"),
        (httpx.Response(502, text=""), "answered 502: no reason given"),
        (httpx.Response(200, text="<html>"), "not as Loki does"),
        (httpx.Response(200, json=[]), "not as Loki does"),
    ],
)
def test_an_error_of_the_server_is_told_in_its_words(response: httpx.Response, told: str) -> None:
    with query_client(lambda _: response) as client, pytest.raises(RemoteFailed, match=told.replace("?", r"\?")):
        client.labels(start_ns=1, end_ns=2)


def test_a_server_that_is_not_there_is_named_with_the_remedy() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with QueryClient(Access(url)) as client, pytest.raises(RemoteFailed) as caught:
        client.labels(start_ns=1, end_ns=2)
    assert url in str(caught.value)
    assert "sillok up" in str(caught.value)
    assert caught.value.is_worth_a_retry


@pytest.mark.parametrize("url", ["", "monitoring:3100", "ftp://x", "http://", "http://[::1", "http://x:99999"])
def test_what_is_no_address_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the address of a server"):
        Access(url)


def test_the_push_address_serves_as_the_servers_address() -> None:
    assert Access("https://a/prefix/loki/api/v1/push").base == "https://a/prefix"


def test_a_push_names_its_batch_and_reads_the_receipt() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers[BATCH_HEADER] == BATCH.hex()
        pushed = decode_protobuf(bytes(cramjam.snappy.decompress_raw(request.content)))
        assert [stream.labels for stream in pushed.streams] == ['{app="api", host="a"}']
        receipt = {"batch": BATCH.hex(), "stored": 1, "duplicates": 1, "refused": {}}
        return httpx.Response(204, headers={RECEIPT_HEADER: json.dumps(receipt)})

    with push_client(answer) as client:
        pushed = client.push(LABELS, [(1, b"one"), (2, b"two")], batch=BATCH)
    assert (pushed.stored, pushed.duplicates, pushed.error) == (1, 1, None)


def test_a_server_without_receipts_has_stored_everything() -> None:
    with push_client(lambda _: httpx.Response(204)) as client:
        assert client.push(LABELS, [(1, b"one"), (2, b"two")], batch=BATCH).stored == 2


def test_lines_that_were_refused_are_counted_by_reason() -> None:
    receipt = {"batch": BATCH.hex(), "stored": 1, "duplicates": 0, "refused": {"line_too_long": 1}}
    answer = httpx.Response(400, text="Max entry size exceeded", headers={RECEIPT_HEADER: json.dumps(receipt)})
    with push_client(lambda _: answer) as client:
        pushed = client.push(LABELS, [(1, b"one"), (2, b"two")], batch=BATCH)
    assert (pushed.stored, pushed.refused, pushed.error) == (1, {"line_too_long": 1}, "Max entry size exceeded")


@pytest.mark.parametrize(("status", "is_worth_a_retry"), [(429, True), (503, True), (400, False), (401, False)])
def test_a_push_that_failed_says_whether_to_try_again(status: int, is_worth_a_retry: bool) -> None:
    answer = httpx.Response(status, text="no", headers={"Retry-After": "7"})
    with push_client(lambda _: answer) as client, pytest.raises(RemoteFailed) as caught:
        client.push(LABELS, [(1, b"one")], batch=BATCH)
    assert caught.value.is_worth_a_retry == is_worth_a_retry
    assert caught.value.retry_after_s == 7


def test_a_batch_id_of_the_wrong_length_is_refused() -> None:
    with push_client(lambda _: httpx.Response(204)) as client, pytest.raises(BadRequest):
        client.push(LABELS, [(1, b"one")], batch=b"short")


@contextmanager
def tail_server(*frames: str, refuse: int = 0) -> Iterator[str]:
    from websockets.http11 import Request, Response
    from websockets.sync.server import ServerConnection, serve

    def converse(connection: ServerConnection) -> None:
        for frame in frames:
            connection.send(frame)
        connection.close(1011, "the end")

    def check(connection: ServerConnection, request: Request) -> Response | None:
        assert request.path.startswith("/loki/api/v1/tail?query=%7Ba%3D%221%22%7D&start=5&limit=10")
        return connection.respond(refuse, "unknown stage\n") if refuse else None

    with serve(converse, "127.0.0.1", 0, process_request=check) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_tail_gives_frames_until_the_server_ends_it() -> None:
    frame = json.dumps({"streams": [{"stream": {"a": "1"}, "values": [["6", "x"]]}], "dropped_entries": [{}, {}]})
    with tail_server(frame) as url, QueryClient(Access(url)) as client:
        frames = client.tail('{a="1"}', start_ns=5, limit=10)
        assert next(frames).entries == ()
        first = next(frames)
        assert (first.entries, first.dropped) == ((LogEntry(6, "x", (("a", "1"),)),), 2)
        with pytest.raises(RemoteFailed, match="ended the tail: the end"):
            next(frames)


def test_a_tail_that_is_refused_tells_why() -> None:
    with tail_server(refuse=400) as url, QueryClient(Access(url)) as client, pytest.raises(RemoteFailed) as caught:
        next(client.tail('{a="1"}', start_ns=5, limit=10))
    assert "answered 400: unknown stage" in str(caught.value)
