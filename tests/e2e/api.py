"""Loki's HTTP API as a plain client speaks it; shares no code with the product."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

SECOND_NS = 1_000_000_000
PAGE_LINES = 5000  # Loki's default for max_entries_limit_per_query


class Api:
    """One server, asked as one tenant with one set of credentials."""

    def __init__(self, url: str, **client: Any) -> None:
        self.url = url
        # A connection for each request: nothing is left open when a test forgets the client.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=url, timeout=60, limits=limits, **client)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.http.get(path, params=params)
        assert answer.status_code == 200, f"{answer.request.url}: {answer.status_code} {answer.text[:2000]}"
        return answer.json()

    def push(self, labels: Mapping[str, str], entries: Iterable[tuple[int, str]]) -> httpx.Response:
        """Push one stream; the answer, whatever it is."""
        values = [[str(time_ns), line] for time_ns, line in entries]
        return self.http.post("/loki/api/v1/push", json={"streams": [{"stream": dict(labels), "values": values}]})

    def must_push(self, labels: Mapping[str, str], entries: Iterable[tuple[int, str]]) -> None:
        answer = self.push(labels, entries)
        assert answer.status_code == 204, f"{answer.status_code} {answer.text[:2000]}"

    def page(
        self, query: str, *, start_ns: int, end_ns: int, limit: int = PAGE_LINES, direction: str = "forward"
    ) -> list[tuple[int, str]]:
        """One answer of query_range as (time, line), all streams together, in order of time."""
        answer = self.get(
            "/loki/api/v1/query_range", query=query, start=start_ns, end=end_ns, limit=limit, direction=direction
        )
        assert answer["data"]["resultType"] == "streams", answer
        found = [(int(value[0]), str(value[1])) for stream in answer["data"]["result"] for value in stream["values"]]
        return sorted(found, key=lambda entry: entry[0])

    def lines(self, query: str, *, start_ns: int | None = None, end_ns: int | None = None) -> list[str]:
        """All lines of a range, however many: the range is halved until every part fits into a page.

        Nothing is merged and nothing is dropped, so a line that is stored twice is seen twice.
        """
        now_ns = time.time_ns()
        start_ns = now_ns - 3600 * SECOND_NS if start_ns is None else start_ns
        end_ns = now_ns + 3600 * SECOND_NS if end_ns is None else end_ns
        found = self.page(query, start_ns=start_ns, end_ns=end_ns)
        if len(found) < PAGE_LINES:
            return [line for _, line in found]
        middle_ns = (start_ns + end_ns) // 2
        if middle_ns == start_ns:
            raise AssertionError(f"more than {PAGE_LINES} lines of {query} at {start_ns} ns")
        before = self.lines(query, start_ns=start_ns, end_ns=middle_ns)
        return before + self.lines(query, start_ns=middle_ns, end_ns=end_ns)
