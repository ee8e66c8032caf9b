"""What the front door asks of the services behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sillok.http.body import BodyReader
from sillok.http.settings import ServerSettings
from sillok.model.push import Pushed, Receipt


class PushService(Protocol):
    """Takes pushes. `sillok.ingest.service.Ingest` is one."""

    async def push(self, tenant: str, pushed: Pushed, *, batch: bytes, is_named: bool) -> Receipt:
        """Return once the entries are on disk and visible to queries."""


class QueryService(Protocol):
    """Answers queries with bodies in Loki's shape. Every method stops its work when it is cancelled."""

    async def query_range(
        self,
        tenant: str,
        query: str,
        *,
        start_ns: int,
        end_ns: int,
        limit: int,
        newest_first: bool,
        step_ns: int | None,
        interval_ns: int | None,
        categorize: bool = False,
    ) -> bytes: ...

    async def query(
        self, tenant: str, query: str, *, time_ns: int, limit: int, newest_first: bool, categorize: bool = False
    ) -> bytes: ...

    async def labels(self, tenant: str, *, start_ns: int, end_ns: int, query: str | None) -> bytes: ...

    async def label_values(self, tenant: str, name: str, *, start_ns: int, end_ns: int, query: str | None) -> bytes: ...

    async def series(self, tenant: str, matchers: Sequence[str], *, start_ns: int, end_ns: int) -> bytes: ...

    async def index_stats(self, tenant: str, query: str, *, start_ns: int, end_ns: int) -> bytes: ...

    async def index_volume(
        self,
        tenant: str,
        query: str,
        *,
        start_ns: int,
        end_ns: int,
        limit: int,
        target_labels: Sequence[str],
        aggregate_by: str,
    ) -> bytes: ...

    async def histogram(self, tenant: str, query: str, *, start_ns: int, end_ns: int, step_ns: int) -> bytes: ...

    def tail(
        self, tenant: str, query: str, *, start_ns: int, limit: int, delay_for_s: float, categorize: bool = False
    ) -> AsyncIterator[bytes]:
        """Frames, without end. What is wrong with the query is raised at once, before the first frame."""


@dataclass(frozen=True, slots=True)
class Services:
    """All that the routes need."""

    ingest: PushService
    query: QueryService
    settings: ServerSettings
    bodies: BodyReader
    config_text: Callable[[], str]
    ready: Callable[[], str | None]
    clock: Callable[[], int]
