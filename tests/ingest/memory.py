"""Ingest over a store in memory: what would be stored is a list of rows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

import pyarrow as pa

from sillok.errors import SillokError
from sillok.ingest.ledger import DAY_NS
from sillok.ingest.service import Ingest
from sillok.model.labels import LabelSet
from sillok.model.limits import Limits
from sillok.model.origin import batch_of
from sillok.model.push import Pushed, Receipt
from sillok.model.timerange import TimeRange

T = TypeVar("T")


class MemoryStore:
    """The writer's promises kept in a list. `failure` is raised by the next commits while it is set."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.commits: list[int] = []  # rows of each
        self.asked: list[bytes] = []  # batches the ledger asked about
        self.failure: SillokError | None = None
        self.before_append: Callable[[], None] = lambda: None

    def append(self, rows: pa.Table) -> None:
        self.before_append()
        if self.failure is not None:
            raise self.failure
        self.commits.append(rows.num_rows)
        self.rows.extend(rows.to_pylist())

    def stored(self, tenant: str, batch: bytes, *, time_range: TimeRange) -> dict[int, int]:
        self.asked.append(batch)
        return Counter(
            row["ts"] // DAY_NS
            for row in list(self.rows)
            if (row["tenant"], row["batch"]) == (tenant, batch) and time_range.start_ns <= row["ts"] < time_range.end_ns
        )

    def all_batches(self) -> Iterator[tuple[str, bytes]]:
        yield from {(row["tenant"], row["batch"]) for row in self.rows}

    def last_recv(self) -> int:
        return max((row["recv"] for row in self.rows), default=0)

    def lines(self) -> list[bytes]:
        return [row["line"] for row in self.rows]


class MemoryStreams:
    """The stream index as a dict."""

    def __init__(self) -> None:
        self.labels: dict[str, dict[int, LabelSet]] = {}

    def add(self, tenant: str, streams_of_push: Mapping[int, LabelSet]) -> None:
        self.labels.setdefault(tenant, {}).update(streams_of_push)

    def known(self, tenant: str, sid: int) -> bool:
        return sid in self.labels.get(tenant, {})

    def count(self, tenant: str) -> int:
        return len(self.labels.get(tenant, {}))


class Bench:
    """An ingest with its store, for one test."""

    def __init__(
        self, *, limits: Callable[[str], Limits] = lambda _: Limits(), clock: Callable[[], int] | None = None
    ) -> None:
        self.store = MemoryStore()
        self.streams = MemoryStreams()
        self._limits = limits
        self._clock = clock

    def start(self) -> Ingest:
        clock = {"clock": self._clock} if self._clock else {}
        return Ingest(writer=self.store, streams=self.streams, limits=self._limits, **clock)

    def run(self, steps: Callable[[Ingest], Coroutine[Any, Any, T]]) -> T:
        """Start ingest, take the steps, stop it."""

        async def life() -> T:
            ingest = self.start()
            try:
                return await steps(ingest)
            finally:
                await ingest.close()

        return asyncio.run(life())

    def push(self, pushed: Pushed, *, tenant: str = "t", batch: bytes | None = None) -> Receipt:
        """One push from a start to a stop."""
        name = batch or batch_of(tenant, repr(pushed).encode())
        return self.run(lambda ingest: ingest.push(tenant, pushed, batch=name, is_named=batch is not None))
