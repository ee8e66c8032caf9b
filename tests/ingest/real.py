"""Ingest over the real store, for one test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pyarrow as pa

from sillok.ingest.service import Ingest
from sillok.model.limits import Limits
from sillok.model.origin import batch_of
from sillok.model.push import Pushed, Receipt
from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.store.engine import Engine
from sillok.store.streams import StreamIndex
from sillok.store.writer import Writer

T = TypeVar("T")
EVER = TimeRange(-(1 << 62), 1 << 62)


class RealBench:
    """Rows go through the engine; a test has tenants of its own."""

    def __init__(self, engine: Engine, *, limits: Callable[[str], Limits] = lambda _: Limits()) -> None:
        self.engine = engine
        self.streams = StreamIndex(engine)
        self.streams.load()
        self.writer = Writer(engine)
        self._limits = limits

    def run(self, steps: Callable[[Ingest], Coroutine[Any, Any, T]]) -> T:
        async def life() -> T:
            ingest = Ingest(writer=self.writer, streams=self.streams, limits=self._limits)
            try:
                return await steps(ingest)
            finally:
                await ingest.close()

        return asyncio.run(life())

    def push(self, tenant: str, pushed: Pushed, *, batch: bytes | None = None) -> Receipt:
        name = batch or batch_of(tenant, repr(pushed).encode())
        return self.run(lambda ingest: ingest.push(tenant, pushed, batch=name, is_named=batch is not None))

    def rows(self, tenant: str, time_range: TimeRange = EVER) -> list[dict[str, Any]]:
        """What a query finds, oldest first; the bytes of a line as they are."""
        table = self.engine.query(logs.select_lines(tenant, time_range, newest_first=False))
        line = table.column("line").cast(pa.binary())
        return table.set_column(table.schema.get_field_index("line"), "line", line).to_pylist()
