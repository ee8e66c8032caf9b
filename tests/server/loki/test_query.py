"""Loki's query endpoints: what they make of a request, and that they stop when nobody waits."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from sillok.errors import QueryRejected, QuerySyntaxError, QueryTimeout
from sillok.http.settings import ServerSettings
from tests.http.serving import serving
from tests.server.fakes import NOW_NS, FakeQuery, app, client

pytestmark = pytest.mark.anyio

SECOND_NS = 1_000_000_000
HOUR = {"start_ns": NOW_NS - 3600 * SECOND_NS, "end_ns": NOW_NS}
RANGE = {
    **HOUR,
    "limit": 100,
    "newest_first": True,
    "step_ns": 14 * SECOND_NS,
    "interval_ns": None,
    "categorize": False,
}


async def ask(query: FakeQuery, path: str, method: str = "GET", **named: Any) -> httpx.Response:
    async with client(app(query=query)) as http:
        return await http.request(method, path, **named)


@pytest.mark.parametrize(
    ("path", "params", "call"),
    [
        ("/loki/api/v1/query_range", {"query": "{}"}, ("query_range", ("fake", "{}"), RANGE)),
        ("/loki/api/v1/query_range", {}, ("query_range", ("fake", ""), RANGE)),
        (
            "/loki/api/v1/query_range",
            {
                "query": "q",
                "start": "1",
                "end": "11",
                "limit": "5",
                "direction": "forward",
                "step": "2s",
                "interval": "1",
            },
            (
                "query_range",
                ("fake", "q"),
                {
                    "start_ns": SECOND_NS,
                    "end_ns": 11 * SECOND_NS,
                    "limit": 5,
                    "newest_first": False,
                    "step_ns": 2 * SECOND_NS,
                    "interval_ns": SECOND_NS,
                    "categorize": False,
                },
            ),
        ),
        (
            "/loki/api/v1/query",
            {"query": "vector(1)+vector(1)", "time": "3"},
            (
                "query",
                ("fake", "vector(1)+vector(1)"),
                {"time_ns": 3 * SECOND_NS, "limit": 100, "newest_first": True, "categorize": False},
            ),
        ),
        ("/loki/api/v1/labels", {}, ("labels", ("fake",), {**HOUR, "query": None})),
        ("/loki/api/v1/label", {"query": "{}"}, ("labels", ("fake",), {**HOUR, "query": "{}"})),
        ("/loki/api/v1/label/a%20b/values", {}, ("label_values", ("fake", "a b"), {**HOUR, "query": None})),
        (
            "/loki/api/v1/series",
            {"match": "{a}", "match[]": ["{b}", "{c}"]},
            ("series", ("fake", ["{a}", "{b}", "{c}"]), HOUR),
        ),
        ("/loki/api/v1/index/stats", {"query": "{}"}, ("index_stats", ("fake", "{}"), HOUR)),
        (
            "/loki/api/v1/index/volume",
            {"query": "{}", "targetLabels": "a,b", "aggregateBy": "labels"},
            (
                "index_volume",
                ("fake", "{}"),
                {**HOUR, "limit": 100, "target_labels": ["a", "b"], "aggregate_by": "labels"},
            ),
        ),
        (
            "/sillok/api/v1/histogram",
            {"query": "{}", "step": "60"},
            ("histogram", ("fake", "{}"), {**HOUR, "step_ns": 60 * SECOND_NS}),
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_endpoint_asks_what_it_was_asked(method: str, path: str, params: dict[str, Any], call: Any) -> None:
    query = FakeQuery()

    answer = await ask(query, path, method, **{"params" if method == "GET" else "data": params})

    assert (answer.status_code, answer.text) == (200, '{"status":"success"}')
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert query.asked == [call]


async def test_a_form_stands_before_the_address() -> None:
    query = FakeQuery()

    await ask(query, "/loki/api/v1/query_range?limit=x&direction=forward", "POST", data={"query": "q", "limit": "7"})

    assert query.asked[0][2]["limit"] == 7
    assert query.asked[0][2]["newest_first"] is False


@pytest.mark.parametrize("flags", ["categorize-labels", "other, categorize-labels"])
async def test_a_client_may_want_labels_by_category(flags: str) -> None:
    query = FakeQuery()

    await ask(query, "/loki/api/v1/query_range", headers={"X-Loki-Response-Encoding-Flags": flags})

    assert query.asked[0][2]["categorize"] is True


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/loki/api/v1/query_range?limit=x", 'strconv.Atoi: parsing "x": invalid syntax'),
        ("/loki/api/v1/query_range?start=20&end=10", "end timestamp must not be before or equal to start time"),
        ("/loki/api/v1/index/stats?start=20&end=10", "end timestamp must not be before or equal to start time"),
        (
            "/loki/api/v1/labels?start=x",
            "could not parse 'start' parameter: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        ("/loki/api/v1/query?time=abc", 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ("/loki/api/v1/index/volume?aggregateBy=x", "invalid aggregation option"),
        ("/loki/api/v1/query_range?" + "a=b&" * 1001, "more than 1000 parameters"),
    ],
)
async def test_a_bad_parameter_is_told_in_lokis_words(path: str, text: str) -> None:
    query = FakeQuery()

    answer = await ask(query, path)

    assert (answer.status_code, answer.text) == (400, text)
    assert query.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (QuerySyntaxError("parse error at line 1, col 7: syntax error"), 400),
        (QueryRejected("max entries limit per query exceeded, limit > max_entries_limit (6000 > 5000)"), 400),
        (QueryTimeout("the query took longer than 60s"), 504),
    ],
)
async def test_an_error_of_the_query_is_its_text_and_status(error: Exception, status: int) -> None:
    answer = await ask(FakeQuery(error=error), "/loki/api/v1/query_range")

    assert (answer.status_code, answer.text) == (status, str(error))


async def test_a_form_that_is_too_large_is_413() -> None:
    answer = await ask(FakeQuery(), "/loki/api/v1/query_range", "POST", data={"query": "x" * (1 << 20)})

    assert answer.status_code == 413


async def test_a_query_without_a_tenant_is_refused() -> None:
    async with client(app(settings=ServerSettings(auth_enabled=True))) as http:
        answer = await http.get("/loki/api/v1/labels")

    assert (answer.status_code, answer.text) == (401, "no org id\n")


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /loki/api/v1/query_range?query=x HTTP/1.1\r\n",
        b"POST /loki/api/v1/labels HTTP/1.1\r\nContent-Length: 0\r\n",
    ],
)
async def test_a_query_ends_when_its_client_leaves(request_head: bytes) -> None:
    query = FakeQuery(hangs=True)
    async with serving(app(query=query)) as one:
        raw = await one.connect()
        await raw.send(request_head + b"Host: localhost\r\n\r\n")
        await asyncio.wait_for(query.hanging.wait(), 5)
        assert not query.cancelled.is_set()
        await raw.close()
        await asyncio.wait_for(query.cancelled.wait(), 5)


async def test_a_query_ends_when_the_server_stops() -> None:
    query = FakeQuery(hangs=True)
    async with serving(app(query=query)) as one:
        raw = await one.connect()
        await raw.send(b"GET /loki/api/v1/labels HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(query.hanging.wait(), 5)
        one.stop.set()
        await asyncio.wait_for(query.cancelled.wait(), 5)
