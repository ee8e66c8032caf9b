"""Live tail: what was there first, then each entry once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest

from sillok.errors import BadRequest, QueryRejected, QuerySyntaxError
from sillok.model.limits import Limits
from sillok.query import tail
from sillok.query.service import QueryService
from tests.query.conftest import NOW, SECOND_NS, World, numbered

T = NOW - 3600 * SECOND_NS


def during(world: World, story: Callable[[QueryService], Awaitable[None]]) -> None:
    async def told() -> None:
        service = world.service()
        try:
            await asyncio.wait_for(story(service), 30)
        finally:
            await service.close()

    asyncio.run(told())


def opened(world: World, service: QueryService, query: str = '{app="a"}', **wanted: Any) -> AsyncIterator[bytes]:
    given = {"start_ns": NOW, "limit": 100, "delay_for_s": 0, **wanted}
    return service.tail(world.tenant, query, **given)


def lines(frame: bytes) -> list[str]:
    return [value[1] for stream in orjson.loads(frame)["streams"] for value in stream["values"]]


async def listening(world: World, count: int = 1) -> None:
    while len(world.listeners) < count:  # noqa: ASYNC110  the world is no part of the loop
        await asyncio.sleep(0.005)


async def gathered(frames: AsyncIterator[bytes], count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        found += lines(await asyncio.wait_for(anext(frames), 10))
    return found


async def nothing_more(frames: AsyncIterator[bytes]) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(anext(frames), 0.5)


def test_the_newest_entries_since_the_start_come_first_and_live_ones_after(world: World) -> None:
    world.push({"app": "a"}, list(numbered(0, 10)))

    async def story(service: QueryService) -> None:
        frames = opened(world, service, start_ns=T, limit=3)
        assert await gathered(frames, 3) == ["line 7", "line 8", "line 9"]
        await asyncio.to_thread(world.push, {"app": "a"}, [(NOW, "live")])
        assert await gathered(frames, 1) == ["live"]

    during(world, story)


def test_a_frame_is_lokis_to_the_byte(world: World) -> None:
    world.push({"app": "a"}, [(T, "<x>", {"t": "1"})], level_hint="info")

    async def story(service: QueryService) -> None:
        assert await anext(opened(world, service, start_ns=T)) == (
            b'{"streams":[{"stream":{"app":"a","detected_level":"info","t":"1"},'
            b'"values":[["1700000000000000000","\\u003cx\\u003e"]]}]}'
        )
        assert await anext(opened(world, service, start_ns=T, categorize=True)) == (
            b'{"streams":[{"stream":{"app":"a"},"values":[["1700000000000000000","\\u003cx\\u003e",'
            b'{"structuredMetadata":{"detected_level":"info","t":"1"}}]]}],"encodingFlags":["categorize-labels"]}'
        )

    during(world, story)


def test_entries_of_several_streams_come_in_the_order_of_their_times(world: World) -> None:
    """T-12: over all servers, in time order. Each entry is a stream of its own, as in Loki's frames."""
    world.push({"app": "a", "host": "1"}, [(T, "one"), (T + 2, "three")])
    world.push({"app": "a", "host": "2"}, [(T + 1, "two"), (T + 3, "four")])

    async def story(service: QueryService) -> None:
        frame = await anext(opened(world, service, start_ns=T))
        assert lines(frame) == ["one", "two", "three", "four"]
        assert [stream["stream"]["host"] for stream in orjson.loads(frame)["streams"]] == ["1", "2", "1", "2"]

    during(world, story)


def test_each_committed_line_comes_exactly_once_while_pushes_go_on(world: World) -> None:
    """T-11: press Live and see everything that flows, whenever the tail begins."""

    async def story(service: QueryService) -> None:
        sent = 0

        async def push_on() -> None:
            nonlocal sent
            for n in range(60):
                late = (NOW - n * 1_000_000, f"line {n}")
                commit = await asyncio.to_thread(world.store, [({"app": "a", "part": str(n % 7)}, [late, late])])
                await asyncio.sleep(0.003 * (n % 3))
                world.announce(commit)
                sent += 2

        pushing = asyncio.create_task(push_on())
        while sent < 20:  # noqa: ASYNC110  any moment will do
            await asyncio.sleep(0.001)
        frames = opened(world, service, start_ns=T, limit=5000)
        found = await gathered(frames, 120)
        await pushing
        await nothing_more(frames)
        assert Counter(found) == {f"line {n}": 2 for n in range(60)}

    during(world, story)


def test_a_commit_that_the_replay_saw_before_it_was_announced_does_not_come_again(world: World) -> None:
    early = world.store([({"app": "a"}, [(T, "same"), (T, "same"), (T + 1, "other")])])

    async def story(service: QueryService) -> None:
        frames = opened(world, service, start_ns=T + 1)
        assert await gathered(frames, 1) == ["other"]
        world.announce(early)
        # What the replay had no place for is news.
        assert await gathered(frames, 2) == ["same", "same"]
        await nothing_more(frames)

    during(world, story)


def test_only_lines_that_the_query_keeps_come_and_only_the_tenants_own(world: World) -> None:
    async def story(service: QueryService) -> None:
        frames = opened(world, service, '{app="a"} |= "yes"')
        waiting = asyncio.create_task(gathered(frames, 1))
        await listening(world)
        await asyncio.to_thread(world.push, {"app": "a"}, [(NOW, "yes of another")], tenant=f"{world.tenant}-other")
        await asyncio.to_thread(world.push, {"app": "b"}, [(NOW, "yes of b")])
        await asyncio.to_thread(world.push, {"app": "a"}, [(NOW, "no"), (NOW, "yes")])
        assert await waiting == ["yes"]
        await nothing_more(frames)

    during(world, story)


def test_late_lines_come_too(world: World) -> None:
    async def story(service: QueryService) -> None:
        frames = opened(world, service)
        waiting = asyncio.create_task(gathered(frames, 1))
        await listening(world)
        await asyncio.to_thread(world.push, {"app": "a"}, [(T - 40 * 86400 * SECOND_NS, "forty days late")])
        assert await waiting == ["forty days late"]

    during(world, story)


def test_a_commit_larger_than_a_frame_comes_whole_in_several(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "FRAME_ROWS", 10)

    async def story(service: QueryService) -> None:
        frames = opened(world, service)
        waiting = asyncio.create_task(gathered(frames, 55))
        await listening(world)
        same_time = [(NOW, f"same {n}") for n in range(25)]
        await asyncio.to_thread(world.push, {"app": "a"}, [*numbered(0, 30), *same_time])
        assert Counter(await waiting) == Counter([f"line {n}" for n in range(30)] + [line for _, line in same_time])
        await nothing_more(frames)

    during(world, story)


def test_a_delay_holds_lines_back(world: World) -> None:
    async def story(service: QueryService) -> None:
        frames = opened(world, service, delay_for_s=2)
        waiting = asyncio.create_task(gathered(frames, 1))
        await listening(world)
        await asyncio.to_thread(world.push, {"app": "a"}, [(NOW, "held back")])
        await asyncio.sleep(0.3)
        assert not waiting.done()
        world.now_ns += 3 * SECOND_NS
        assert await waiting == ["held back"]

    during(world, story)


def test_a_client_that_is_too_slow_is_told_which_entries_it_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_WAITING_COMMITS", 3)

    async def story(service: QueryService) -> None:
        frames = opened(world, service, start_ns=T)
        await asyncio.to_thread(world.push, {"app": "a"}, [(NOW - SECOND_NS, "replayed")], announce=False)
        assert await gathered(frames, 1) == ["replayed"]
        for n in range(5):
            await asyncio.to_thread(world.push, {"app": "a"}, [(NOW + n, f"live {n}")])
        frame = orjson.loads(await anext(frames))
        assert frame["dropped_entries"] == [
            {"timestamp": str(NOW + 1), "labels": {"app": "a"}},
            {"timestamp": str(NOW), "labels": {"app": "a"}},
        ]
        assert lines(orjson.dumps(frame)) == ["live 2", "live 3", "live 4"]

    during(world, story)


def test_a_tenant_has_only_so_many_tails(world: World) -> None:
    world.limits = Limits(max_concurrent_tail_requests=1)
    world.push({"app": "a"}, [(T, "x")])

    async def story(service: QueryService) -> None:
        first = opened(world, service, start_ns=T)
        await anext(first)
        with pytest.raises(QueryRejected) as refused:
            opened(world, service)
        expected = "max concurrent tail requests limit exceeded, count > limit (2 > 1)"
        assert str(refused.value) == expected
        await first.aclose()  # type: ignore[attr-defined]
        assert world.listeners == []
        await anext(opened(world, service, start_ns=T))

    during(world, story)


def test_a_wrong_query_is_refused_before_the_first_frame(world: World) -> None:
    async def story(service: QueryService) -> None:
        with pytest.raises(QuerySyntaxError):
            opened(world, service, "{")
        with pytest.raises(BadRequest, match="only log selector is supported"):
            opened(world, service, 'rate({app="a"}[1m])')

    during(world, story)


def test_closing_the_service_ends_its_tails(world: World) -> None:
    async def told() -> None:
        service = world.service()
        frames = opened(world, service)
        waiting = asyncio.ensure_future(anext(frames, None))
        await listening(world)
        await service.close()
        assert await asyncio.wait_for(waiting, 2) is None

    asyncio.run(told())
