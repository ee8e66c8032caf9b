"""What the collector tells about itself: a status file, and `/status`, `/metrics`, `/ready` on a port of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from sillok import telemetry
from sillok.agent.custody import Custody
from sillok.agent.ledger import Sums
from sillok.errors import Forbidden

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sillok.http.guard import Guard

VERSION = 1
STATUS_FILE = "status.json"
_COUNTERS = {
    str(counter): counter
    for counter in (
        telemetry.AGENT_READ,
        telemetry.AGENT_STORED,
        telemetry.AGENT_DROPPED,
        telemetry.AGENT_REFUSED,
        telemetry.AGENT_BATCHES,
        telemetry.AGENT_RETRIES,
    )
}


@dataclass(slots=True)
class Status:
    """A view of the running collector. Its parts are asked when somebody asks it."""

    custody: Custody
    target: str
    host: str
    watched: Callable[[], Mapping[str, int]]
    last_error: Callable[[], str | None]
    is_paused: Callable[[], bool]
    batches: Callable[[], tuple[int, int]]  # sent, retries
    started_ns: int = field(default_factory=time.time_ns)
    _exposed: dict[tuple[str, ...], int] = field(default_factory=dict)

    def as_json(self, *, with_sources: bool = True) -> dict[str, Any]:
        """`lines` obeys: read = stored + sum(dropped) + sum(refused) + spooled + in_flight."""
        by_source = self.custody.ledger.by_source()
        sent, retries = self.batches()
        status: dict[str, Any] = {
            "version": VERSION,
            "agent": self.custody.agent,
            "process": os.getpid(),
            "started_ns": self.started_ns,
            "host": self.host,
            "target": self.target,
            "state": self._state(),
            "last_error": self.last_error(),
            "watched": dict(self.watched()),
            "lines": total(by_source).as_json(),
            "spool": {"used_bytes": self.custody.spool.used_bytes, "max_bytes": self.custody.spool.max_bytes},
            "batches": {"sent": sent, "retries": retries},
        }
        if with_sources:
            status["sources"] = {source: sums.as_json() for source, sums in sorted(by_source.items())}
        return status

    def write(self, folder: Path) -> None:
        """Put the status file into `folder`, as a whole."""
        temporary = folder / f"{STATUS_FILE}.new"
        temporary.write_bytes(orjson.dumps(self.as_json(with_sources=False)) + b"\n")
        temporary.rename(folder / STATUS_FILE)

    def exposition(self) -> bytes:
        """All metrics, those of the ledger from one moment."""
        by_source = self.custody.ledger.by_source()
        for source, sums in by_source.items():
            self._add(telemetry.AGENT_READ, sums.read, source)
            self._add(telemetry.AGENT_STORED, sums.stored, source)
            for reason, count in sums.dropped.items():
                self._add(telemetry.AGENT_DROPPED, count, source, reason)
            for reason, count in sums.refused.items():
                self._add(telemetry.AGENT_REFUSED, count, source, reason)
            telemetry.AGENT_SPOOLED.labels(source).set(sums.spooled)
            telemetry.AGENT_IN_FLIGHT.labels(source).set(sums.in_flight)
        self._remove_retired(by_source.keys())
        sent, retries = self.batches()
        self._add(telemetry.AGENT_BATCHES, sent)
        self._add(telemetry.AGENT_RETRIES, retries)
        for kind, count in self.watched().items():
            telemetry.AGENT_SOURCES.labels(kind).set(count)
        telemetry.AGENT_SPOOL_BYTES.set(self.custody.spool.used_bytes)
        telemetry.AGENT_SPOOL_MAX_BYTES.set(self.custody.spool.max_bytes)
        telemetry.AGENT_PAUSED.set(self.is_paused())
        return telemetry.exposition()

    def _remove_retired(self, sources: Collection[str]) -> None:
        for key in [key for key in self._exposed if len(key) > 1 and key[1] not in sources]:
            _COUNTERS[key[0]].remove(*key[1:])
            del self._exposed[key]
            for gauge in (telemetry.AGENT_SPOOLED, telemetry.AGENT_IN_FLIGHT):
                try:
                    gauge.remove(key[1])
                except KeyError:
                    pass  # Removed with another counter of the same source.

    def _state(self) -> str:
        if self.is_paused():
            return "paused"
        return "collecting" if self.last_error() is None else "retrying"

    def _add(self, counter: Any, value: int, *labels: str) -> None:
        """Bring a counter up to the ledger's sum, which also knows of earlier runs."""
        key = (str(counter), *labels)
        (counter.labels(*labels) if labels else counter).inc(max(0, value - self._exposed.get(key, 0)))
        self._exposed[key] = value


def total(by_source: Mapping[str, Sums]) -> Sums:
    """The sums of all sources together."""
    summed = Sums()
    for sums in by_source.values():
        summed.add(sums)
    return summed


def build_app(status: Status, guard: Guard) -> ASGIApp:
    """Three pages to read; nothing here changes anything."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        code, kind, body = _answer(status, guard, scope)
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


def _answer(status: Status, guard: Guard, scope: Scope) -> tuple[int, bytes, bytes]:
    text = b"text/plain; charset=utf-8"
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        guard.check(headers, local_address=(scope.get("server") or ("", 0))[0])
    except Forbidden as error:
        return 403, text, f"{error}\n".encode()
    if scope["method"] not in ("GET", "HEAD"):
        return 405, text, b"method not allowed\n"
    match scope["path"]:
        case "/ready":
            return 200, text, b"ready\n"
        case "/metrics":
            return 200, telemetry.CONTENT_TYPE.encode(), status.exposition()
        case "/status":
            return 200, b"application/json", orjson.dumps(status.as_json()) + b"\n"
        case _:
            return 404, text, b"/metrics, /ready, /status\n"
