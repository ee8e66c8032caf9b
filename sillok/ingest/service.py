"""The one way in: a push waits for its group commit and gets a receipt.

The event loop only queues and answers. A commit starts at once when none runs; while it runs the next group
gathers. A second committer starts beside the first when a group has waited long or grown large.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from sillok import telemetry
from sillok.errors import NothingToStore, Overloaded, SillokError, StoreUnavailable
from sillok.ingest.batches import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Batch, entry_count, joined, pieces
from sillok.ingest.commit import Committed, Committer, KnownStreams, Outcome, RowWriter
from sillok.ingest.ledger import Ledger, StoredBatches
from sillok.model.limits import Limits
from sillok.model.push import Pushed, Receipt

COMMITTERS = 2
MAX_GROUP_ENTRIES = 2 * MAX_BATCH_ENTRIES  # well below a block, which takes a million
MAX_GROUP_BYTES = 2 * MAX_BATCH_BYTES
MAX_HELD_BYTES = 256 * 1024 * 1024  # of bodies that wait or are being committed
RETRY_AFTER_S = 1.0
# A second committer starts beside the first when a group is this old or this large: a commit of few entries costs
# as much as one of thousands.
SECOND_COMMIT_AFTER_S = 0.1
SECOND_COMMIT_ENTRIES = 20_000

_LOG = logging.getLogger(__name__)


class Store(RowWriter, StoredBatches, Protocol):
    """What ingest asks of the store (`store.writer.Writer`)."""

    def last_recv(self) -> int:
        """The newest receive time there is; 0 when there are no rows."""


@dataclass(slots=True, eq=False)
class _Waiting:
    batch: Batch
    receipt: asyncio.Future[Receipt]
    since_s: float


class Ingest:
    """All methods are called on one event loop."""

    def __init__(
        self,
        *,
        writer: Store,
        streams: KnownStreams,
        limits: Callable[[str], Limits],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._ledger = Ledger(writer)
        self._committer = Committer(
            writer=writer,
            streams=streams,
            ledger=self._ledger,
            limits=limits,
            clock=clock,
            last_recv=writer.last_recv(),
        )
        self._threads = ThreadPoolExecutor(COMMITTERS, thread_name_prefix="commit")
        self._stop = threading.Event()
        self._learning = threading.Thread(target=self._learn, name="ledger", daemon=True)
        self._learning.start()
        self._queue: deque[_Waiting] = deque()
        self._queue_entries = 0
        self._held_bytes = 0  # of pushes that wait or are being committed
        self._running: set[asyncio.Task[None]] = set()
        self._in_flight: dict[tuple[str, bytes], asyncio.Future[Receipt]] = {}
        self._listeners: list[Callable[[Committed], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def push(self, tenant: str, pushed: Pushed, *, batch: bytes, is_named: bool) -> Receipt:
        """Return once what is within the limits is on disk and queryable.

        `batch` is the id the sender gave (`is_named`) or `model.origin.batch_of`. The caller may be cancelled:
        what was queued is stored all the same, and is a duplicate when it is sent again.

        Raises:
            NothingToStore: there is no stream in the push.
            PushSyntaxError: an entry cannot be decoded; nothing of the push was stored.
            Overloaded: the queue is full; nothing was taken.
            StoreFull, StoreUnavailable: some of it may be stored; send it again under the same id.
        """
        if self._is_closed:
            raise StoreUnavailable("the server is stopping")
        if not pushed.streams:
            raise NothingToStore("error at least one valid stream is required for ingestion")
        telemetry.INGEST_BATCHES.labels("sender" if is_named else "server").inc()
        while (earlier := self._in_flight.get((tenant, batch))) is not None:
            await asyncio.wait([earlier])
        if self._held_bytes and self._held_bytes + pushed.body_bytes > MAX_HELD_BYTES:
            raise Overloaded("the ingest queue is full", retry_after_s=RETRY_AFTER_S)
        receipt = self._take(tenant, pushed, batch)
        self._in_flight[(tenant, batch)] = receipt
        receipt.add_done_callback(lambda _: self._release((tenant, batch), pushed.body_bytes))
        self._held_bytes += pushed.body_bytes
        telemetry.COMMIT_QUEUE_BYTES.set(self._held_bytes)
        return await asyncio.shield(receipt)

    def listen(self, listener: Callable[[Committed], None]) -> Callable[[], None]:
        """Call `listener` on the event loop after each commit, before its pushes are answered.

        Returns the function that ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def close(self) -> None:
        """Refuse new pushes, finish those that wait."""
        self._is_closed = True
        while self._in_flight:
            await asyncio.wait(list(self._in_flight.values()))
        self._stop.set()
        await asyncio.to_thread(self._learning.join)
        self._threads.shutdown()

    def _learn(self) -> None:
        try:
            self._ledger.load(stop=self._stop)
        except SillokError as error:
            _LOG.warning("the ledger's filter could not be filled, so the data is asked about every batch: %s", error)

    def _take(self, tenant: str, pushed: Pushed, batch: bytes) -> asyncio.Future[Receipt]:
        entries = sum(map(entry_count, pushed.streams))
        if entries <= MAX_BATCH_ENTRIES and pushed.body_bytes <= MAX_BATCH_BYTES:
            return self._enqueue(Batch(tenant, batch, pushed.streams, entries, pushed.body_bytes))
        return asyncio.ensure_future(self._take_pieces(tenant, pushed, batch))

    async def _take_pieces(self, tenant: str, pushed: Pushed, batch: bytes) -> Receipt:
        receipts = []
        for piece in await asyncio.to_thread(lambda: list(pieces(tenant, pushed, batch))):
            receipts.append(await self._enqueue(piece))
        return joined(batch, receipts)

    def _release(self, key: tuple[str, bytes], body_bytes: int) -> None:
        del self._in_flight[key]
        self._held_bytes -= body_bytes
        telemetry.COMMIT_QUEUE_BYTES.set(self._held_bytes)

    def _enqueue(self, batch: Batch) -> asyncio.Future[Receipt]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(batch, loop.create_future(), loop.time())
        self._queue.append(waiting)
        self._queue_entries += batch.entries
        self._start_commits()
        return waiting.receipt

    def _start_commits(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue and self._may_start(loop.time()):
            task = loop.create_task(self._commit(self._next_group()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if self._queue and len(self._running) < COMMITTERS:
            self._timer = loop.call_at(self._queue[0].since_s + SECOND_COMMIT_AFTER_S, self._start_commits)

    def _may_start(self, now_s: float) -> bool:
        if not self._running:
            return True
        is_due = now_s - self._queue[0].since_s >= SECOND_COMMIT_AFTER_S
        return len(self._running) < COMMITTERS and (is_due or self._queue_entries >= SECOND_COMMIT_ENTRIES)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        entries = size = 0
        while self._queue:
            batch = self._queue[0].batch
            entries += batch.entries
            size += batch.bytes
            if group and (entries > MAX_GROUP_ENTRIES or size > MAX_GROUP_BYTES):
                break
            group.append(self._queue.popleft())
            self._queue_entries -= batch.entries
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        batches = [waiting.batch for waiting in group]
        try:
            outcomes, committed = await loop.run_in_executor(self._threads, self._committer.commit, batches)
        except Exception as error:  # a bug; whoever waits must hear of it
            for waiting in group:
                waiting.receipt.set_exception(error)
            raise
        finally:
            loop.call_soon(self._start_commits)
        if committed is not None:
            for listener in list(self._listeners):
                listener(committed)
        for waiting, outcome in zip(group, outcomes, strict=True):
            _settle(waiting.receipt, outcome)


def _settle(receipt: asyncio.Future[Receipt], outcome: Outcome) -> None:
    if isinstance(outcome, Receipt):
        receipt.set_result(outcome)
    else:
        receipt.set_exception(outcome)
