"""`/loki/api/v1/tail` over real WebSockets."""

from __future__ import annotations

import asyncio

import pytest
import websockets
from websockets.asyncio.client import connect

from sillok.errors import QueryRejected, QuerySyntaxError
from sillok.http.credentials import hash_token
from sillok.http.settings import Credential, HttpLimits, Role, ServerSettings
from tests.http.serving import Serving, serving
from tests.server.fakes import NOW_NS, FakeQuery, app

pytestmark = pytest.mark.anyio

QUERY = "query=%7Ba%3D%22b%22%7D"


def url(one: Serving, query: str = QUERY, *, name: str = "127.0.0.1") -> str:
    return f"ws://{name}:{one.port}/loki/api/v1/tail?{query}"


async def refusal(one: Serving, query: str = QUERY, *, name: str = "127.0.0.1", **named: object) -> tuple[int, str]:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(url(one, query, name=name), **named)  # type: ignore[arg-type]
    return refused.value.response.status_code, (refused.value.response.body or b"").decode()


async def test_frames_come_as_text_and_the_tail_ends_with_its_client() -> None:
    query = FakeQuery(frames=[b'{"streams":[]}', '{"streams":["실록"]}'.encode()])
    async with serving(app(query=query)) as one:
        async with connect(url(one, QUERY + "&limit=7&delay_for=2&start=5")) as socket:
            frames = [await socket.recv(), await socket.recv()]
        await asyncio.wait_for(query.cancelled.wait(), 5)

    assert frames == ['{"streams":[]}', '{"streams":["실록"]}']
    assert query.asked == [
        ("tail", ("fake", '{a="b"}'), {"start_ns": 5_000_000_000, "limit": 7, "delay_for_s": 2, "categorize": False}),
    ]


async def test_a_tail_starts_an_hour_ago_unless_told() -> None:
    query = FakeQuery(frames=[b"{}"])
    async with serving(app(query=query)) as one, connect(url(one)) as socket:
        await socket.recv()

    assert query.asked[0][2]["start_ns"] == NOW_NS - 3600 * 1_000_000_000


async def test_what_is_wrong_with_the_query_is_said_before_the_upgrade() -> None:
    query = FakeQuery(error=QuerySyntaxError("parse error at line 1, col 7"))
    async with serving(app(query=query)) as one:
        assert await refusal(one) == (400, "parse error at line 1, col 7")
        assert await refusal(one, "delay_for=9") == (400, "delay_for can't be greater than 5")


async def test_an_error_on_the_way_ends_the_tail_with_its_text() -> None:
    class Failing(FakeQuery):
        async def _frames(self):  # type: ignore[no-untyped-def, override]
            yield b"{}"
            raise QueryRejected("the tail fell behind")

    async with serving(app(query=Failing())) as one, connect(url(one)) as socket:
        await socket.recv()
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()

    assert (socket.close_code, socket.close_reason) == (1011, "the tail fell behind")


async def test_a_tail_of_a_page_of_another_site_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    query = FakeQuery()
    async with serving(app(query=query)) as one:
        assert (await refusal(one, origin="http://evil.example"))[0] == 403
        assert (await refusal(one, host="127.0.0.1", name="evil.example"))[0] == 403
        async with connect(url(one), origin=f"http://127.0.0.1:{one.port}"):  # type: ignore[arg-type]
            pass

    assert len(query.asked) == 1
    assert caplog.records == []


async def test_a_tail_needs_credentials_and_a_tenant_like_every_query() -> None:
    settings = ServerSettings(
        auth_enabled=True,
        credentials=(
            Credential("reader", frozenset({Role.READ}), ("a", "b"), token_hash=hash_token("r")),
            Credential("sender", frozenset({Role.PUSH}), ("a",), token_hash=hash_token("s")),
        ),
    )
    query = FakeQuery(frames=[b"{}"])
    reader = {"Authorization": "Bearer r"}
    async with serving(app(query=query, settings=settings)) as one:
        assert (await refusal(one))[0] == 401
        assert (await refusal(one, additional_headers={"Authorization": "Bearer s"}))[0] == 403
        assert await refusal(one, additional_headers=reader) == (401, "no org id\n")
        assert (await refusal(one, additional_headers={**reader, "X-Scope-OrgID": "c"}))[0] == 403
        async with connect(url(one), additional_headers={**reader, "X-Scope-OrgID": "b"}) as socket:
            await socket.recv()

    assert [call[1][0] for call in query.asked] == ["b"]


async def test_open_websockets_are_bounded() -> None:
    settings = ServerSettings(limits=HttpLimits(max_websockets=2))
    async with serving(app(settings=settings)) as one:
        async with connect(url(one)), connect(url(one)):
            assert await refusal(one) == (429, "too many WebSockets are open")
        async with connect(url(one)):
            pass


async def test_a_get_that_is_no_websocket_is_a_bad_request() -> None:
    async with serving(app()) as one:
        raw = await one.connect()
        await raw.send(b"GET /loki/api/v1/tail?query=x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.answer())[0] == 400
