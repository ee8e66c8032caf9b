"""All lines of a range, whatever the pages: none twice, none left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.client import pages
from sillok.client.loki import Answer, LogEntry, QueryClient
from sillok.errors import RemoteFailed

END_NS = 100


class FakeServer:
    """Answers `query_range` from a list, as Loki does: the first `limit` entries in the order asked for."""

    def __init__(self, stored: Sequence[LogEntry]) -> None:
        self.stored = stored
        self.largest = 0

    def query_range(self, query: str, *, start_ns: int, end_ns: int, limit: int, newest_first: bool) -> Answer:
        self.largest = max(self.largest, limit)
        inside = [entry for entry in self.stored if start_ns <= entry.time_ns < end_ns]
        inside.sort(key=lambda entry: -entry.time_ns if newest_first else entry.time_ns)
        return Answer("streams", inside[:limit], [])


# Few times, few lines: many entries are equal in time, and some in everything.
stored_entries = st.lists(
    st.builds(LogEntry, st.integers(0, 12), st.sampled_from("abc"), st.just((("app", "x"),))), max_size=60
)


@given(stored_entries, st.booleans(), st.integers(0, 70))
def test_pages_are_the_whole(stored: list[LogEntry], newest_first: bool, limit: int) -> None:
    server = FakeServer(stored)
    most_at_once = max((sum(e.time_ns == entry.time_ns for e in stored) for entry in stored), default=0)
    found = list(
        pages.entries(
            cast(QueryClient, server),
            "{}",
            start_ns=0,
            end_ns=END_NS,
            limit=limit or None,
            newest_first=newest_first,
            page=most_at_once + 1,
        )
    )
    whole = server.query_range("{}", start_ns=0, end_ns=END_NS, limit=limit or 1000, newest_first=newest_first).entries
    assert [entry.time_ns for entry in found] == [entry.time_ns for entry in whole]
    assert sorted(map(repr, found)) == sorted(map(repr, whole)) or limit
    if not limit:
        assert sorted(map(repr, found)) == sorted(map(repr, stored))


def test_more_lines_of_one_time_than_a_page_holds_are_told() -> None:
    server = FakeServer([LogEntry(5, f"{n}", ()) for n in range(10)])
    found = pages.entries(cast(QueryClient, server), "{}", start_ns=0, end_ns=END_NS, limit=None, page=4)
    with pytest.raises(RemoteFailed, match="larger --batch"):
        list(found)


def test_no_more_is_asked_for_than_a_page() -> None:
    server = FakeServer([LogEntry(n, "", ()) for n in range(50)])
    found = pages.entries(cast(QueryClient, server), "{}", start_ns=0, end_ns=END_NS, limit=30, page=8)
    assert [entry.time_ns for entry in found] == list(range(49, 19, -1))
    assert server.largest == 8
