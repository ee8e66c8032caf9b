"""Services that remember what they were asked, for tests of the front door alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from sillok.http.body import BodyReader
from sillok.http.settings import HttpLimits, ServerSettings
from sillok.model.push import EntryColumns, Pushed, RawEntries, Receipt
from sillok.server.app import build_app
from sillok.server.front import Front
from sillok.server.page import Page
from sillok.server.services import Services

NOW_NS = 1_795_235_038_000_000_000


@dataclass
class FakeIngest:
    pushes: list[tuple[str, Pushed, bytes, bool]] = field(default_factory=list)
    outcome: Callable[[bytes], Receipt] | Exception | None = None

    async def push(self, tenant: str, pushed: Pushed, *, batch: bytes, is_named: bool) -> Receipt:
        self.pushes.append((tenant, pushed, batch, is_named))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome(batch) if self.outcome else Receipt(batch, _count(pushed))


@dataclass
class FakeQuery:
    asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    error: Exception | None = None
    frames: list[bytes] = field(default_factory=list)
    hangs: bool = False
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        async def answer(*arguments: Any, **named: Any) -> bytes:
            self.asked.append((name, arguments, named))
            if self.error:
                raise self.error
            if self.hangs:
                await self._hang()
            return b'{"status":"success"}'

        return answer

    def tail(self, *arguments: Any, **named: Any) -> AsyncIterator[bytes]:
        self.asked.append(("tail", arguments, named))
        if self.error:
            raise self.error
        return self._frames()

    async def _frames(self) -> AsyncIterator[bytes]:
        for frame in self.frames:
            yield frame
        await self._hang()

    async def _hang(self) -> None:
        self.hanging.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def services() -> Services:
    return Services(
        FakeIngest(), FakeQuery(), ServerSettings(), BodyReader(HttpLimits()), str, lambda: None, lambda: NOW_NS
    )


def app(
    ingest: FakeIngest | None = None,
    query: FakeQuery | None = None,
    *,
    settings: ServerSettings | None = None,
    ready: Callable[[], str | None] = lambda: None,
    page: Page | None = None,
) -> Front:
    return build_app(
        ingest=ingest or FakeIngest(),
        query=query or FakeQuery(),
        settings=settings or ServerSettings(),
        config_text=lambda: "auth_enabled: false\n",
        ready=ready,
        clock=lambda: NOW_NS,
        page=page,
    )


def client(front: Front, **named: Any) -> httpx.AsyncClient:
    """A client of `front` without a socket; it comes over loopback."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://127.0.0.1:3100", **named)


def _count(pushed: Pushed) -> int:
    return sum(_entries(stream.entries) for stream in pushed.streams)


def _entries(entries: EntryColumns | RawEntries) -> int:
    return len(entries.lines) if isinstance(entries, EntryColumns) else len(entries.messages)
