"""Live tail: what was there, then each entry as it is committed, exactly once.

A tail hears of commits and reads their rows by receive time, which no two commits share: nothing is missed and
nothing comes twice, whatever the times in the lines. The replay at the start may see a commit that is announced
a moment later; its rows are remembered until then.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from sillok import telemetry
from sillok.errors import QueryRejected
from sillok.logql.plan import LogPlan
from sillok.model.labels import LabelSet
from sillok.model.limits import Limits
from sillok.model.timerange import TimeRange
from sillok.query.jobs import Job, Jobs
from sillok.query.reading import Reading, Selected, read_entries
from sillok.schema import logs
from sillok.store.streams import StreamIndex
from sillok.wire import loki_result
from sillok.wire.loki_result import Dropped

if TYPE_CHECKING:
    import pyarrow as pa

SECOND_NS = 1_000_000_000
READ_TIMEOUT_S = 30.0
# Commits come as often as a hundred times a second; a person sees five frames a second as live.
MIN_GAP_S = 0.2
FRAME_ROWS = 2000
# Commits that wait for a slow client. More: the oldest are dropped, and the frame says which entries.
MAX_WAITING_COMMITS = 256
MAX_DROPPED_NAMED = 100
# How long a commit may take between its receive time and its announcement.
ANNOUNCED_WITHIN_NS = 600 * SECOND_NS
ALL_TIME = TimeRange(-(2**63) + 1, 2**63 - 1)

T = TypeVar("T")
RowKey: TypeAlias = tuple[int, int, int, int, int]


class Commit(Protocol):
    """A commit that is stored: its receive time, and whose entries it holds."""

    @property
    def recv(self) -> int: ...

    @property
    def tenants(self) -> frozenset[str]: ...


class Encode(Protocol):
    def __call__(self, job: Job, tenant: str, tables: Sequence[pa.Table], *, categorize: bool) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one client tails."""

    tenant: str
    plan: LogPlan
    start_ns: int
    limit: int
    delay_ns: int
    categorize: bool


class Tails:
    """All open tails. Lives on the event loop."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        streams: StreamIndex,
        limits: Callable[[str], Limits],
        listen: Callable[[Callable[[Commit], None]], Callable[[], None]],
        clock: Callable[[], int],
        encode: Encode,
    ) -> None:
        self._jobs = jobs
        self._streams = streams
        self._limits = limits
        self._listen = listen
        self._clock = clock
        self._encode = encode
        self._open: dict[_Backlog, str] = {}

    def open(
        self, tenant: str, plan: LogPlan, *, start_ns: int, limit: int, delay_ns: int, categorize: bool
    ) -> AsyncIterator[bytes]:
        """Frames of a new tail.

        Raises:
            QueryRejected: the tenant has as many tails as it may.
        """
        allowed = self._limits(tenant).max_concurrent_tail_requests
        running = sum(of == tenant for of in self._open.values())
        if allowed and running >= allowed:
            raise QueryRejected(
                f"max concurrent tail requests limit exceeded, count > limit ({running + 1} > {allowed})"
            )
        return self._frames(_Asked(tenant, plan, start_ns, limit, delay_ns, categorize))

    def close(self) -> None:
        """End all tails."""
        for backlog in list(self._open):
            backlog.close()

    async def _frames(self, asked: _Asked) -> AsyncIterator[bytes]:
        backlog = _Backlog(asked.tenant)
        self._open[backlog] = asked.tenant
        telemetry.TAILS.labels(asked.tenant).inc()
        # Listen before the replay: a commit in between is then heard of, and not missed.
        unsubscribe = self._listen(backlog.hear)
        try:
            replayed, seen = await self._run(partial(self._replay, asked=asked))
            if replayed is not None:
                yield replayed
            async for frame in self._live(asked, backlog, seen):
                yield frame
        finally:
            unsubscribe()
            del self._open[backlog]
            telemetry.TAILS.labels(asked.tenant).dec()

    async def _live(self, asked: _Asked, backlog: _Backlog, seen: Counter[RowKey]) -> AsyncIterator[bytes]:
        while (commits := await backlog.take(asked.delay_ns, self._clock)) is not None:
            dropped = await self._run(partial(self._dropped, asked=asked, commits=backlog.take_overflow()))
            rest: TimeRange | None = ALL_TIME
            while rest is not None:
                page = partial(self._page, asked=asked, commits=commits, time_range=rest, seen=seen, dropped=dropped)
                frame, rest = await self._run(page)
                dropped = []
                if frame is not None:
                    yield frame
            await asyncio.sleep(MIN_GAP_S)

    async def _run(self, work: Callable[[Job], T]) -> T:
        return await self._jobs.run("tail", work, timeout_s=READ_TIMEOUT_S)

    # These run on worker threads.

    def _replay(self, job: Job, asked: _Asked) -> tuple[bytes | None, Counter[RowKey]]:
        """The newest entries that are there, oldest first, and those of them that may yet be announced."""
        now_ns = self._clock()
        time_range = TimeRange(asked.start_ns, max(now_ns, asked.start_ns) + 1)
        reading = Reading(asked.tenant, asked.plan, time_range, asked.limit, newest_first=True)
        selected = Selected.by(self._streams, asked.tenant, asked.plan.matchers)
        found = read_entries(job, reading, selected)
        tables = [table.take(list(range(table.num_rows - 1, -1, -1))) for table in reversed(found)]
        recent = now_ns - ANNOUNCED_WITHIN_NS
        seen = Counter(key for table in tables for key in _keys(table) if key[0] > recent)
        if not tables:
            return None, seen
        result = self._encode(job, asked.tenant, tables, categorize=asked.categorize)
        return loki_result.tail_frame(result, categorize=asked.categorize), seen

    def _page(
        self,
        job: Job,
        asked: _Asked,
        commits: Collection[int],
        time_range: TimeRange,
        seen: Counter[RowKey],
        dropped: Sequence[Dropped],
    ) -> tuple[bytes | None, TimeRange | None]:
        """A frame of what the commits hold in the range, and the range that is left when it is not all."""
        rows, rest = self._rows(job, asked, commits, time_range)
        rows = _without(rows, seen)
        if not rows.num_rows and not dropped:
            return None, rest
        result = self._encode(job, asked.tenant, [rows] if rows.num_rows else [], categorize=asked.categorize)
        return loki_result.tail_frame(result, dropped, categorize=asked.categorize), rest

    def _rows(
        self, job: Job, asked: _Asked, commits: Collection[int], time_range: TimeRange
    ) -> tuple[pa.Table, TimeRange | None]:
        # Streams are selected anew each time: commits bring new ones.
        sids = self._streams.select(asked.tenant, asked.plan.matchers)
        limit = FRAME_ROWS
        while True:
            rows = job.query(
                logs.select_lines(
                    asked.tenant,
                    time_range,
                    sids=sids,
                    where=asked.plan.where,
                    limit=limit,
                    newest_first=False,
                    recv=commits,
                )
            )
            if rows.num_rows < limit:
                return rows, None
            times = rows.column("ts").to_numpy()
            # The last time may go on beyond the limit: it begins the next page.
            whole = int(times.searchsorted(times[-1]))
            if whole:
                return rows.slice(0, whole), TimeRange(int(times[-1]), time_range.end_ns)
            limit *= 4

    def _dropped(self, job: Job, asked: _Asked, commits: Collection[int]) -> list[Dropped]:
        """The entries of commits that the client was too slow for; as many as a frame names."""
        if not commits:
            return []
        sids = self._streams.select(asked.tenant, asked.plan.matchers)
        rows = job.query(
            logs.select_lines(
                asked.tenant,
                ALL_TIME,
                sids=sids,
                where=asked.plan.where,
                limit=MAX_DROPPED_NAMED,
                newest_first=True,
                recv=commits,
            )
        )
        telemetry.TAIL_DROPPED.labels(asked.tenant).inc(rows.num_rows)
        columns = rows.select(["sid", "ts"]).to_pydict()
        return [
            Dropped(self._labels(asked.tenant, sid), time_ns)
            for sid, time_ns in zip(columns["sid"], columns["ts"], strict=True)
        ]

    def _labels(self, tenant: str, sid: int) -> LabelSet:
        return self._streams.labels(tenant, sid) or ()


class _Backlog:
    """Commits that one tail has still to read, in the order they were announced."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._waiting: deque[int] = deque()
        self._changed = asyncio.Event()
        self._is_closed = False
        self.overflow: list[int] = []

    def hear(self, commit: Commit) -> None:
        if self._tenant not in commit.tenants:
            return
        self._waiting.append(commit.recv)
        if len(self._waiting) > MAX_WAITING_COMMITS:
            oldest = self._waiting.popleft()
            if len(self.overflow) < MAX_WAITING_COMMITS:
                self.overflow.append(oldest)
        self._changed.set()

    def take_overflow(self) -> list[int]:
        lost, self.overflow = self.overflow, []
        return lost

    def close(self) -> None:
        self._is_closed = True
        self._changed.set()

    async def take(self, delay_ns: int, clock: Callable[[], int]) -> list[int] | None:
        """The commits that are at least `delay_ns` old, at least one; None when closed."""
        while not self._is_closed:
            until = clock() - delay_ns
            ready = [recv for recv in self._waiting if not delay_ns or recv <= until]
            if ready:
                taken = set(ready)
                self._waiting = deque(recv for recv in self._waiting if recv not in taken)
                return ready
            self._changed.clear()
            wait_s = (min(self._waiting) - until) / SECOND_NS if self._waiting else None
            try:
                await asyncio.wait_for(self._changed.wait(), wait_s)
            except TimeoutError:
                pass
        return None


def _keys(rows: pa.Table) -> list[RowKey]:
    """What tells an entry from all others, or from none that is not equal to it."""
    import pyarrow as pa

    columns = rows.select(["recv", "sid", "ts", "offset"]).to_pydict()
    lines = rows.column("line").cast(pa.binary()).to_pylist()  # a line need not be UTF-8
    named = zip(columns["recv"], columns["sid"], columns["ts"], columns["offset"], lines, strict=True)
    return [(recv, sid, time_ns, offset, hash(line)) for recv, sid, time_ns, offset, line in named]


def _without(rows: pa.Table, seen: Counter[RowKey]) -> pa.Table:
    """The rows that the replay did not show; each that it did counts once."""
    if not seen or not rows.num_rows:
        return rows
    kept = []
    for position, key in enumerate(_keys(rows)):
        if seen[key] > 0:
            seen[key] -= 1
        else:
            kept.append(position)
    return rows.take(kept)
