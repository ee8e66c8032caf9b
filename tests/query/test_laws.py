"""Laws that hold for every query: ranges add up, limits cut, tenants never see each other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sillok.query.service import QueryService
from tests.query.conftest import NOW, SECOND_NS, World, data, entries

T = NOW - 3600 * SECOND_NS
HOUR_NS = 3600 * SECOND_NS
QUERIES = (
    '{app=~".+"}',
    '{app="a"}',
    '{app!="a", job="j"}',
    '{job="j"} |= "1"',
    '{job="j"} != "1" |~ "[2-5]"',
)
CALM = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ask(world: World, question: Callable[[QueryService], Awaitable[bytes]]) -> bytes:
    async def asked() -> bytes:
        service = world.service()
        try:
            return await question(service)
        finally:
            await service.close()

    return asyncio.run(asked())


def logs(
    world: World, query: str, start_ns: int, end_ns: int, *, limit: int = 5000, newest_first: bool = True
) -> bytes:
    return ask(
        world,
        lambda service: service.query_range(
            world.tenant,
            query,
            start_ns=start_ns,
            end_ns=end_ns,
            limit=limit,
            newest_first=newest_first,
            step_ns=None,
            interval_ns=None,
        ),
    )


@pytest.fixture
def full(world: World) -> World:
    """Entries that are dense here and rare there, over two days, with many of the same time."""
    dense = [(T + n % 97 * 7_000_000, f"dense {n}") for n in range(300)]
    rare = [(T - n * n * 60 * SECOND_NS, f"rare {n}") for n in range(50)]
    world.store([({"app": "a", "job": "j"}, dense), ({"app": "b", "job": "j"}, rare)])
    return world


TIMES = st.one_of(
    st.integers(T - 48 * HOUR_NS, T + HOUR_NS),
    st.integers(0, 97).map(lambda n: T + n * 7_000_000),
)


@CALM
@given(st.sampled_from(QUERIES), st.lists(TIMES, min_size=3, max_size=3).map(sorted))
def test_a_range_is_the_sum_of_its_parts(full: World, query: str, times: list[int]) -> None:
    first, middle, last = times
    whole = Counter(entries(logs(full, query, first, last)))
    parts = entries(logs(full, query, first, middle)) + entries(logs(full, query, middle, last))
    assert whole == Counter(parts)


@CALM
@given(st.sampled_from(QUERIES), st.integers(1, 400), st.booleans())
def test_a_limit_keeps_the_entries_at_the_end_that_was_asked_for(
    full: World, query: str, limit: int, newest_first: bool
) -> None:
    everything = [time_ns for time_ns, _ in entries(logs(full, query, T - 48 * HOUR_NS, NOW))]
    limited = [
        time_ns
        for time_ns, _ in entries(logs(full, query, T - 48 * HOUR_NS, NOW, limit=limit, newest_first=newest_first))
    ]
    assert limited == (everything[-limit:] if newest_first else everything[:limit])


@CALM
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 90))
def test_windows_hold_what_a_log_query_finds_in_them(full: World, step_s: int, range_s: int, start_s: int) -> None:
    """Overlapping or with gaps, whatever step and range have in common."""
    start_ns, step_ns, range_ns = T + start_s * 10_000_000, step_s * 10_000_000, range_s * 10_000_000
    end_ns = start_ns + 20 * step_ns
    body = ask(
        full,
        lambda service: service.query_range(
            full.tenant,
            f'sum(count_over_time({{job="j"}}[{range_s * 10}ms]))',
            start_ns=start_ns,
            end_ns=end_ns,
            limit=100,
            newest_first=True,
            step_ns=step_ns,
            interval_ns=None,
        ),
    )
    result = data(body)["result"]
    counted = [int(value) for _, value in result[0]["values"]] if result else []
    everything = [time_ns for time_ns, _ in entries(logs(full, '{job="j"}', start_ns - range_ns, end_ns + 1))]
    ends = [start_ns + n * step_ns for n in range(21)]
    expected = [sum(end - range_ns < time_ns <= end for time_ns in everything) for end in ends]
    assert counted == [count for count in expected if count]


ASKED: dict[str, Callable[[QueryService, str], Awaitable[bytes]]] = {
    "query_range": lambda service, tenant: service.query_range(
        tenant, '{app=~".+"}', start_ns=T, end_ns=NOW, limit=100, newest_first=True, step_ns=None, interval_ns=None
    ),
    "count": lambda service, tenant: service.query(
        tenant, 'count_over_time({app=~".+"}[2h])', time_ns=NOW, limit=100, newest_first=True
    ),
    "labels": lambda service, tenant: service.labels(tenant, start_ns=T, end_ns=NOW, query=None),
    "values": lambda service, tenant: service.label_values(tenant, "app", start_ns=T, end_ns=NOW, query=None),
    "series": lambda service, tenant: service.series(tenant, [], start_ns=T, end_ns=NOW),
    "stats": lambda service, tenant: service.index_stats(tenant, '{app=~".+"}', start_ns=T, end_ns=NOW),
    "volume": lambda service, tenant: service.index_volume(
        tenant, "{}", start_ns=T, end_ns=NOW, limit=10, target_labels=[], aggregate_by="series"
    ),
    "histogram": lambda service, tenant: service.histogram(
        tenant, '{app=~".+"}', start_ns=T, end_ns=NOW, step_ns=60 * SECOND_NS
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_tenant_sees_nothing_of_another(world: World, name: str) -> None:
    def answer() -> bytes:
        body = ask(world, lambda service: ASKED[name](service, world.tenant))
        return body.partition(b',"stats":{')[0]

    empty = answer()
    world.push({"app": "secret"}, [(T + n, "secret") for n in range(3)], tenant=f"{world.tenant}-other")
    assert answer() == empty
    world.push({"app": "own"}, [(T, "own")])
    answered = answer()
    assert answered != empty
    assert b"secret" not in answered
