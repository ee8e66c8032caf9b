"""Blocking work off the event loop: a bounded pool of threads, deadlines, and an end when nobody waits any more."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from sillok import telemetry
from sillok.errors import Overloaded, QueryCancelled, QueryTimeout, SillokError, StoreUnavailable
from sillok.sql.statement import Statement
from sillok.store.engine import Engine

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

THREADS = 8  # The engine spreads one query over the cores already; more only overlaps waiting.
MAX_WAITING = 256  # queries that wait for a thread, as Loki's `max_outstanding_per_tenant`
CLOSE_PATIENCE_S = 5.0

# Loki's text for a deadline that passed.
TIMED_OUT = (
    "request timed out, decrease the duration of the request or add more label matchers "
    "(prefer exact match over regex match) to reduce the amount of data processed"
)


class Job:
    """One piece of work that asks the engine. Lives on one thread; `cancel` comes from others."""

    def __init__(self, engine: Engine, tag: str, *, timeout_s: float) -> None:
        self._engine = engine
        self._tag = tag
        self._statements = itertools.count()
        self._running: str | None = None
        self._is_cancelled = False
        self._queued_at = time.monotonic()
        self._deadline = self._queued_at + timeout_s
        self.queue_s = 0.0
        self.rows_read = 0
        self.bytes_read = 0

    def start(self) -> None:
        self.queue_s = time.monotonic() - self._queued_at

    def query(self, statement: Statement, *, settings: Mapping[str, str | int] | None = None) -> pa.Table:
        """Ask the engine, within what is left of the time.

        Raises:
            QueryTimeout: the deadline passed.
            QueryCancelled: nobody waits for the answer.
        """
        left_s = self.left_s()
        self._running = f"{self._tag}-{next(self._statements)}"
        try:
            table = self._engine.query(statement, tag=self._running, timeout_s=left_s, settings=settings)
        except QueryTimeout:
            raise QueryTimeout(TIMED_OUT) from None
        finally:
            self._running = None
        self._count(table)
        return table

    def left_s(self) -> float:
        """Seconds until the deadline, more than none."""
        if self._is_cancelled:
            raise QueryCancelled("the query was cancelled")
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise QueryTimeout(TIMED_OUT)
        return left_s

    def elapsed_s(self) -> float:
        """Seconds since the work began, the wait for a thread not counted."""
        return time.monotonic() - self._queued_at - self.queue_s

    def cancel(self) -> None:
        """End the work at the next statement, and the statement that runs. Blocks while it looks for it."""
        self._is_cancelled = True
        running = self._running
        if running is not None:
            self._engine.cancel(running)

    def _count(self, table: pa.Table) -> None:
        """Add up what the engine looked at; an engine that does not say it counts as having read its answer."""
        read = table.schema.metadata or {}
        self.rows_read += int(read.get(b"rows_read", table.num_rows))
        self.bytes_read += int(read.get(b"bytes_read", table.nbytes))


class Jobs:
    """Runs jobs on threads. `run` and `close` are called on the event loop."""

    def __init__(self, engine: Engine, *, threads: int = THREADS, max_waiting: int = MAX_WAITING) -> None:
        self._engine = engine
        self._max_waiting = max_waiting
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sillok-query")
        self._cancelling = ThreadPoolExecutor(1, thread_name_prefix="sillok-query-cancel")
        # Also those whose caller has gone and whose statement has yet to end. Guarded: they end on their threads.
        self._open: dict[Future[Any], Job] = {}
        self._lock = threading.Lock()
        self._tags = itertools.count()
        self._is_closed = False

    async def run(self, kind: str, work: Callable[[Job], T], *, timeout_s: float) -> T:
        """What `work` returns, run on a thread with a job of its own. Cancelled: so is the job.

        Raises:
            Overloaded: too many wait already.
            StoreUnavailable: closed.
        """
        future, job = self._submit(work, timeout_s)
        try:
            with telemetry.QUERY_SECONDS.labels(kind).time():
                return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.done():
                self._cancelling.submit(job.cancel)
            raise
        except SillokError as error:
            telemetry.QUERY_FAILURES.labels(type(error).__name__).inc()
            raise

    async def close(self) -> None:
        """End what runs and wait for it, for a bounded time. Idempotent."""
        self._is_closed = True
        with self._lock:
            running = dict(self._open)
        for future, job in running.items():
            if not future.cancel() and not future.done():
                self._cancelling.submit(job.cancel)
        waited = [asyncio.wrap_future(future) for future in running]
        if waited:
            await asyncio.wait(waited, timeout=CLOSE_PATIENCE_S)
            for one in waited:
                if one.done() and not one.cancelled():
                    one.exception()  # its caller has it
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._cancelling.shutdown(wait=False)

    def _submit(self, work: Callable[[Job], T], timeout_s: float) -> tuple[Future[T], Job]:
        if self._is_closed:
            raise StoreUnavailable("the server is stopping")
        job = Job(self._engine, f"query-{id(self):x}-{next(self._tags)}", timeout_s=timeout_s)
        with self._lock:
            if len(self._open) >= self._max_waiting:
                raise Overloaded("too many outstanding requests")
            future = self._threads.submit(_started, job, work)
            self._open[future] = job
            telemetry.QUERY_WAITING.set(len(self._open))
        future.add_done_callback(self._ended)
        return future, job

    def _ended(self, future: Future[Any]) -> None:
        with self._lock:
            self._open.pop(future, None)
            telemetry.QUERY_WAITING.set(len(self._open))


def _started(job: Job, work: Callable[[Job], T]) -> T:
    job.start()
    job.left_s()  # it may have waited too long, or in vain
    return work(job)
