"""Work on threads: deadlines, cancellation, bounds."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sillok.errors import Overloaded, QueryCancelled, QueryTimeout, StoreUnavailable
from sillok.query.jobs import TIMED_OUT, Job, Jobs
from sillok.sql.statement import Statement
from sillok.store.engine import Engine

# About half a minute of one core.
ENDLESS = Statement("SELECT count() FROM numbers(100000000000) WHERE cityHash64(number) = 1")


def test_a_query_over_its_time_ends_in_lokis_words(engine: Engine) -> None:
    async def asked() -> None:
        jobs = Jobs(engine)
        with pytest.raises(QueryTimeout) as ended:
            await jobs.run("test", lambda job: job.query(ENDLESS), timeout_s=0.3)
        assert str(ended.value) == TIMED_OUT
        await jobs.close()

    began = time.monotonic()
    asyncio.run(asked())
    assert time.monotonic() - began < 5


def test_a_query_that_waits_for_a_thread_spends_its_time_too(engine: Engine) -> None:
    async def asked() -> None:
        jobs = Jobs(engine, threads=1)
        blocked = asyncio.ensure_future(jobs.run("test", lambda _: time.sleep(0.5), timeout_s=10))
        await asyncio.sleep(0.05)
        with pytest.raises(QueryTimeout):
            await jobs.run("test", lambda job: job.query(Statement("SELECT 1")), timeout_s=0.1)
        await blocked
        await jobs.close()

    asyncio.run(asked())


def test_a_query_whose_client_has_gone_ends_in_the_engine(engine: Engine) -> None:
    ended = threading.Event()

    def work(job: Job) -> None:
        try:
            job.query(ENDLESS)
        except QueryCancelled:
            ended.set()
            raise

    async def asked() -> None:
        jobs = Jobs(engine)
        asking = asyncio.ensure_future(jobs.run("test", work, timeout_s=60))
        await asyncio.sleep(0.3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(ended.wait, 5)
        await jobs.close()

    asyncio.run(asked())


def test_closing_ends_what_runs(engine: Engine) -> None:
    async def asked() -> None:
        jobs = Jobs(engine)
        asking = asyncio.ensure_future(jobs.run("test", lambda job: job.query(ENDLESS), timeout_s=60))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await jobs.close()
        with pytest.raises(QueryCancelled):
            await asking
        assert time.monotonic() - began < 3
        with pytest.raises(StoreUnavailable):
            await jobs.run("test", lambda job: 1, timeout_s=1)

    asyncio.run(asked())


def test_more_than_may_wait_are_sent_away(engine: Engine) -> None:
    async def asked() -> None:
        jobs = Jobs(engine, threads=1, max_waiting=2)
        release = threading.Event()
        waiting = [asyncio.ensure_future(jobs.run("test", lambda _: release.wait(10), timeout_s=10)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded, match="too many outstanding requests"):
            await jobs.run("test", lambda job: 1, timeout_s=1)
        release.set()
        await asyncio.gather(*waiting)
        assert await jobs.run("test", lambda job: 1, timeout_s=1) == 1
        await jobs.close()

    asyncio.run(asked())


def test_the_event_loop_goes_on_while_the_engine_works(engine: Engine) -> None:
    async def asked() -> float:
        jobs = Jobs(engine)
        asking = asyncio.ensure_future(jobs.run("test", lambda job: job.query(ENDLESS), timeout_s=0.5))
        longest, last = 0.0, time.monotonic()
        while not asking.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        with pytest.raises(QueryTimeout):
            await asking
        await jobs.close()
        return longest

    assert asyncio.run(asked()) < 0.4
