"""Tenants never see each other: over all APIs, on the real services and the real store."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from sillok.http.credentials import hash_token
from sillok.http.settings import Credential, Role, ServerSettings
from sillok.ingest.service import Ingest
from sillok.model.limits import Limits
from sillok.query.service import QueryService
from sillok.server.app import build_app, routes
from sillok.server.front import Front
from sillok.server.page import Page
from sillok.store.streams import StreamIndex
from sillok.store.writer import Writer
from tests.http.serving import serving
from tests.server.fakes import services

if TYPE_CHECKING:
    from sillok.store.engines.chdb import ChdbEngine

TIME_NS = 1_795_235_038_000_000_000
RANGE = {"start": str(TIME_NS - 10**12), "end": str(TIME_NS + 10**12)}
# Names that a tenant may have, and that quote, match or contain each other.
SUFFIXES = st.sampled_from(["", "a", "A", "a.b", "a'b", "a*", "(a)", "!a", "..a", "'--", "a-b", "_"])
WORDS = st.sampled_from(["error", "timeout user_id_7", "", "실록", "'; DROP TABLE logs", '{"level":"error"}'])


@dataclass
class Stack:
    """The services on an event loop of their own."""

    runner: asyncio.Runner
    engine: ChdbEngine
    app: Front
    ingest: Ingest
    query: QueryService

    def client(self, tenant: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://127.0.0.1:3100",
            headers={"X-Scope-OrgID": tenant},
            timeout=60,
        )


@pytest.fixture(scope="module")
def stack(engine: ChdbEngine) -> Iterator[Stack]:
    with asyncio.Runner() as runner:
        built = runner.run(_build(runner, engine))
        yield built
        runner.run(built.ingest.close())
        runner.run(built.query.close())


async def _build(runner: asyncio.Runner, engine: ChdbEngine, *credentials: Credential) -> Stack:
    streams = StreamIndex(engine)
    streams.load()
    ingest = Ingest(writer=Writer(engine), streams=streams, limits=lambda _: Limits())
    query = QueryService(engine=engine, streams=streams, limits=lambda _: Limits(), listen=ingest.listen)
    app = build_app(
        ingest=ingest,
        query=query,
        settings=ServerSettings(auth_enabled=True, credentials=credentials),
        config_text=str,
        ready=lambda: None,
    )
    return Stack(runner, engine, app, ingest, query)


def push_of(mark: str, words: list[str]) -> dict[str, Any]:
    """A push whose labels, lines and metadata all hold `mark`; half of a label name is shared by all tenants."""
    values = [[str(TIME_NS + n), f"{word} {mark}", {f"meta_{mark}": mark}] for n, word in enumerate(words)]
    return {
        "streams": [
            {"stream": {"job": "shared", f"own_{mark}": mark}, "values": values},
            {"stream": {"job": "shared", "level": "error"}, "values": values},
        ]
    }


def reads(mark: str) -> list[tuple[str, dict[str, Any]]]:
    """Every reading API, asked as widely as it lets."""
    everything = '{job=~".+"}'
    return [
        ("/loki/api/v1/query_range", {"query": everything, "limit": 1000}),
        ("/loki/api/v1/query_range", {"query": f'{{job="shared"}} |= "{mark}"'}),
        ("/loki/api/v1/query_range", {"query": f'{{job="shared"}} !~ "{mark}"'}),
        ("/loki/api/v1/query_range", {"query": f"sum by (job) (count_over_time({everything}[1h]))", "step": "600"}),
        ("/loki/api/v1/query", {"query": f"count_over_time({everything}[1h])", "time": RANGE["end"]}),
        ("/loki/api/v1/labels", {}),
        ("/loki/api/v1/label", {"query": everything}),
        ("/loki/api/v1/label/job/values", {}),
        (f"/loki/api/v1/label/own_{mark}/values", {}),
        ("/loki/api/v1/series", {"match[]": everything}),
        ("/loki/api/v1/series", {}),
        ("/loki/api/v1/index/stats", {"query": everything}),
        ("/loki/api/v1/index/volume", {"query": everything, "limit": 1000}),
        ("/loki/api/v1/index/volume", {"query": everything, "aggregateBy": "labels"}),
        ("/api/prom/label", {}),
        (f"/api/prom/label/own_{mark}/values", {}),
        ("/api/prom/series", {"match": everything}),
        ("/sillok/api/v1/histogram", {"query": everything, "step": "600"}),
        ("/loki/api/v1/status/buildinfo", {}),
    ]


def test_the_list_of_reading_apis_is_complete() -> None:
    asked = {path.replace("own_x", "{name}").replace("/job/", "/{name}/") for path, _ in reads("x")}
    reading = {route.path for route in routes(services(), Page()) if route.role is Role.READ}

    assert asked == reading - {"/"}


# Shrinking would push and read for minutes; the first counterexample tells enough.
@settings(max_examples=12, deadline=None, phases=[Phase.reuse, Phase.generate])
@given(suffixes=st.lists(SUFFIXES, min_size=2, max_size=3, unique=True), words=st.lists(WORDS, min_size=1, max_size=4))
def test_a_tenant_never_sees_another_ones_entry(stack: Stack, suffixes: list[str], words: list[str]) -> None:
    stack.runner.run(_push_and_read(stack, suffixes, words))


async def _push_and_read(stack: Stack, suffixes: list[str], words: list[str]) -> None:
    base = uuid.uuid4().hex[:10]
    marks = {f"{base}{suffix}": uuid.uuid4().hex for suffix in suffixes}
    async with AsyncExitStack() as clients:
        of = {tenant: await clients.enter_async_context(stack.client(tenant)) for tenant in marks}
        for tenant, mark in marks.items():
            pushed = await of[tenant].post("/loki/api/v1/push", json=push_of(mark, words))
            assert pushed.status_code == 204, pushed.text
        for tenant, own in marks.items():
            seen = await _read(of[tenant], set(marks.values()))
            assert own in seen
            for mark in set(marks.values()) - {own}:
                assert mark not in seen, f"{tenant} sees what is not its own"


async def _read(client: httpx.AsyncClient, marks: set[str]) -> str:
    """All that a tenant gets to see, asking with everybody's marks; what it asked is not in it."""
    seen = []
    for mark in sorted(marks):
        for path, params in reads(mark):
            answer = await client.get(path, params={**RANGE, **params})
            assert answer.status_code == 200, f"{path}: {answer.text}"
            seen.append(answer.text)
    return "\n".join(seen)


def test_counts_of_equal_streams_are_each_tenants_own(stack: Stack) -> None:
    """Streams with the same labels in two tenants are two streams."""
    first, second = (uuid.uuid4().hex for _ in range(2))
    stack.runner.run(_equal_streams(stack, {first: 3, second: 5}))


async def _equal_streams(stack: Stack, lines_of: dict[str, int]) -> None:
    for tenant, lines in lines_of.items():
        values = [[str(TIME_NS + n), "the same line"] for n in range(lines)]
        async with stack.client(tenant) as http:
            streams = [{"stream": {"job": "equal"}, "values": values}]
            assert (await http.post("/loki/api/v1/push", json={"streams": streams})).status_code == 204
    for tenant, lines in lines_of.items():
        async with stack.client(tenant) as http:
            params = {**RANGE, "query": '{job="equal"}'}
            stats = (await http.get("/loki/api/v1/index/stats", params=params)).json()
            found = (await http.get("/loki/api/v1/query_range", params=params)).json()["data"]["result"]
        assert stats["entries"] == lines
        assert sum(len(stream["values"]) for stream in found) == lines


def test_a_tail_hears_of_its_own_tenants_entries_only(stack: Stack) -> None:
    stack.runner.run(_tails(stack, uuid.uuid4().hex, uuid.uuid4().hex))


async def _tails(stack: Stack, ours: str, theirs: str) -> None:
    async with serving(stack.app) as one, stack.client(ours) as us, stack.client(theirs) as them:
        url = f"ws://127.0.0.1:{one.port}/loki/api/v1/tail?query=%7Bjob%3D%22shared%22%7D&start={TIME_NS - 10**12}"
        async with connect(url, additional_headers={"X-Scope-OrgID": ours}) as tail:
            await them.post("/loki/api/v1/push", json=push_of(theirs, ["one", "two"]))
            await us.post("/loki/api/v1/push", json=push_of(ours, ["one"]))
            await them.post("/loki/api/v1/push", json=push_of(theirs, ["three"]))
            frames = [json.loads(await asyncio.wait_for(tail.recv(), 30)) for _ in range(1)]

    heard = json.dumps(frames)
    assert ours in heard
    assert theirs not in heard


def test_a_credential_reaches_its_own_tenants_only(stack: Stack) -> None:
    stack.runner.run(_credentials(stack, uuid.uuid4().hex, uuid.uuid4().hex))


async def _credentials(stack: Stack, ours: str, theirs: str) -> None:
    both = frozenset({Role.PUSH, Role.READ})
    own = Credential("own", both, tenants=(ours,), token_hash=hash_token("own"))
    closed = await _build(stack.runner, stack.engine, own)
    try:
        async with closed.client(theirs) as http:
            http.headers["Authorization"] = "Bearer own"
            pushed = await http.post("/loki/api/v1/push", json=push_of(theirs, ["one"]))
            answers = [await http.get(path, params={**RANGE, **params}) for path, params in reads(theirs)]
    finally:
        await closed.ingest.close()
        await closed.query.close()

    assert pushed.status_code == 403
    # The build tells of nobody's data and needs no tenant.
    assert {answer.status_code for answer in answers[:-1]} == {403}
