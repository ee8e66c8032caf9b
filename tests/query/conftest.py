"""A world to query: streams and entries in the real engine, commits that are announced, one tenant a test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pytest

from sillok.model.labels import LabelSet, label_set, stream_id
from sillok.model.limits import Limits
from sillok.query.service import QueryService
from sillok.query.tail import Commit
from sillok.store.engine import Engine
from sillok.store.streams import StreamIndex
from sillok.store.writer import Writer

SECOND_NS = 1_000_000_000
T = 1_700_000_000 * SECOND_NS
NOW = T + 3600 * SECOND_NS

_numbers = itertools.count(1)

Entry = tuple[int, str] | tuple[int, str, dict[str, str]]


@dataclass(frozen=True)
class Announced:
    recv: int
    tenants: frozenset[str]


@dataclass
class World:
    """Puts entries into the store as a commit does, and says so to who listens."""

    engine: Engine
    tenant: str
    limits: Limits = field(default_factory=Limits)
    now_ns: int = NOW
    listeners: list[Callable[[Commit], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.streams = StreamIndex(self.engine)
        self.writer = Writer(self.engine)

    def push(
        self,
        labels: dict[str, str],
        entries: Sequence[Entry],
        *,
        tenant: str | None = None,
        announce: bool = True,
        level_hint: str = "",
    ) -> Announced:
        commit = self.store([(labels, entries)], tenant=tenant, level_hint=level_hint)
        if announce:
            self.announce(commit)
        return commit

    def store(
        self,
        pushed: Sequence[tuple[dict[str, str], Sequence[Entry]]],
        *,
        tenant: str | None = None,
        level_hint: str = "",
    ) -> Announced:
        """One commit that holds entries of several streams."""
        tenant = tenant or self.tenant
        commit = Announced(self.now_ns + next(_numbers), frozenset([tenant]))
        new: dict[int, LabelSet] = {}
        rows: list[tuple[Any, ...]] = []
        for labels, entries in pushed:
            own = label_set(labels)
            sid = stream_id(tenant, own)
            new[sid] = own
            for offset, (time_ns, line, *meta) in enumerate(entries):
                rows.append((sid, time_ns, line.encode(), list(meta[0].items()) if meta else [], offset))
        self.streams.add(tenant, new)
        sids, times, lines, metas, offsets = zip(*rows, strict=True)
        count = len(rows)
        self.writer.append(
            pa.table(
                {
                    "tenant": pa.array([tenant] * count),
                    "sid": pa.array(sids, pa.uint64()),
                    "ts": pa.array(times, pa.int64()),
                    "line": pa.array(lines, pa.binary()),
                    "meta": pa.array(metas, pa.map_(pa.string(), pa.string())),
                    "batch": pa.array([commit.recv.to_bytes(16, "big")] * count, pa.binary(16)),
                    "offset": pa.array(offsets, pa.uint64()),
                    "recv": pa.array([commit.recv] * count, pa.int64()),
                    "level_hint": pa.array([level_hint] * count),
                }
            )
        )
        return commit

    def announce(self, commit: Announced) -> None:
        for listener in list(self.listeners):
            listener(commit)

    def listen(self, listener: Callable[[Commit], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def service(self) -> QueryService:
        return QueryService(
            engine=self.engine,
            streams=self.streams,
            limits=lambda _: self.limits,
            listen=self.listen,
            clock=lambda: self.now_ns,
        )


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, f"query-{next(_numbers)}")


def data(body: bytes) -> Any:
    """The `data` of an answer, its statistics left out."""
    found = orjson.loads(body)["data"]
    if isinstance(found, dict):
        found.pop("stats", None)
    return found


def lines(body: bytes) -> list[str]:
    """All lines of a log query's answer, in the order of their times as they stand in the streams."""
    return [value[1] for stream in data(body)["result"] for value in stream["values"]]


def entries(body: bytes) -> list[tuple[int, str]]:
    """(time, line) of all entries, sorted."""
    return sorted((int(value[0]), value[1]) for stream in data(body)["result"] for value in stream["values"])


def numbered(start: int, count: int, *, step_ns: int = SECOND_NS) -> Iterator[Entry]:
    for n in range(start, start + count):
        yield (T + n * step_ns, f"line {n}")
