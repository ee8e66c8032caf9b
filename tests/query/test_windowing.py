"""Windows cover a range once, from the end where the answer is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sillok.model.timerange import TimeRange
from sillok.query.windowing import FIRST_NS, windows
from sillok.schema.logs import BUCKET_NS

TIMES = st.integers(-(2**62), 2**62)


@given(TIMES, TIMES, st.booleans())
def test_windows_cover_the_range_once_and_in_order(one: int, other: int, newest_first: bool) -> None:
    whole = TimeRange(min(one, other), max(one, other))
    found = list(windows(whole, newest_first=newest_first))
    in_time = list(reversed(found)) if newest_first else found
    edges = [window.start_ns for window in in_time] + [whole.end_ns]
    if found:
        assert edges[0] == whole.start_ns
    assert all(window.end_ns == following for window, following in zip(in_time, edges[1:], strict=True))
    assert all(window.start_ns < window.end_ns for window in found)


def test_larger_windows_end_where_buckets_of_the_table_end() -> None:
    whole = TimeRange(5, 100 * BUCKET_NS + 7)
    for newest_first in (True, False):
        inner = list(windows(whole, newest_first=newest_first))[1:-1]
        assert inner
        edges = [window.start_ns if newest_first else window.end_ns for window in inner]
        assert [edge % BUCKET_NS for edge in edges] == [0] * len(edges)


def test_a_century_takes_a_handful_of_windows() -> None:
    century = TimeRange(0, 100 * 365 * 24 * 3600 * 10**9)
    found = list(windows(century, newest_first=True))
    assert len(found) <= 8
    assert found[0].end_ns - found[0].start_ns == FIRST_NS
