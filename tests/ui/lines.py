"""Lines for the page to show, sent as any sender would."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from urllib.parse import quote

import httpx

Entry = tuple[int, str]  # nanoseconds, line
MINUTE_NS = 60 * 10**9


class Sender:
    """Pushes to one server under one `job`."""

    def __init__(self, url: str, *, job: str) -> None:
        self.job = job
        self.selector = f'{{job="{job}"}}'
        self._http = httpx.Client(base_url=url, timeout=30)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def path(self, query: str | None = None, **params: str) -> str:
        """The address of the page with this query."""
        pairs = {"q": query or self.selector, **params}
        return "/?" + "&".join(f"{name}={quote(value)}" for name, value in pairs.items())

    def push(
        self,
        entries: Sequence[Entry],
        *,
        service: str = "api",
        labels: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        values = [[str(ns), line, *([dict(metadata)] if metadata else [])] for ns, line in entries]
        stream = {"job": self.job, "service": service, **(labels or {})}
        answer = self._http.post(
            "/loki/api/v1/push",
            content=json.dumps({"streams": [{"stream": stream, "values": values}]}),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 204, answer.text

    def push_numbered(self, count: int, *, minutes: float = 30, first: int = 0, level: str = "info") -> list[str]:
        """`count` lines with a number each, evenly over the last minutes, the last one a second ago."""
        newest = time.time_ns() - 10**9
        gap = int(minutes * MINUTE_NS) // max(1, count)
        lines = [f'level={level} msg="line {first + i}" user={i % 97}' for i in range(count)]
        for begin in range(0, count, 1_000):
            part = range(begin, min(count, begin + 1_000))
            self.push([(newest - (count - 1 - i) * gap, lines[i]) for i in part])
        return lines


def now_ns(ago_s: float = 0) -> int:
    return time.time_ns() - int(ago_s * 1e9)
