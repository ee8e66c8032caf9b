"""More lines than a server gives at once: page after page, no line twice and none left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sillok.client.loki import LogEntry, QueryClient
from sillok.errors import RemoteFailed

DEFAULT_PAGE = 5000  # what a Loki gives at once unless told otherwise (`max_entries_limit_per_query`)


def entries(
    client: QueryClient,
    query: str,
    *,
    start_ns: int,
    end_ns: int,
    limit: int | None,
    newest_first: bool = True,
    page: int = DEFAULT_PAGE,
) -> Iterator[LogEntry]:
    """Up to `limit` (None: all) entries of a log query over [start, end), in the order of time asked for.

    Pages overlap by the last time of the one before: lines of that time are taken off by what they are, as
    often as they were there.

    Raises:
        RemoteFailed: the server did, or more lines than a page holds have one and the same time.
    """
    left = limit
    seen: Counter[LogEntry] = Counter()
    while left is None or left > 0:
        size = page if left is None else min(page, left + seen.total())
        found = client.query_range(
            query, start_ns=start_ns, end_ns=end_ns, limit=size, newest_first=newest_first
        ).entries
        ordered = sorted(found, key=_newest if newest_first else _oldest)
        fresh = list(_without(ordered, seen))[:left]
        yield from fresh
        left = None if left is None else left - len(fresh)
        if len(ordered) < size or left == 0:
            return
        edge_ns = ordered[-1].time_ns
        if ordered[0].time_ns == edge_ns and size >= page and not fresh:
            raise RemoteFailed(f"more than {size} lines have the time {edge_ns}: ask with a larger --batch")
        seen = Counter(entry for entry in ordered if entry.time_ns == edge_ns)
        start_ns, end_ns = (start_ns, edge_ns + 1) if newest_first else (edge_ns, end_ns)


def _without(ordered: list[LogEntry], seen: Counter[LogEntry]) -> Iterator[LogEntry]:
    rest = Counter(seen)
    for entry in ordered:
        if rest[entry] > 0:
            rest[entry] -= 1
        else:
            yield entry


def _newest(entry: LogEntry) -> int:
    return -entry.time_ns


def _oldest(entry: LogEntry) -> int:
    return entry.time_ns
