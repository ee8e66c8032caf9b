"""Walking a time range window by window, from the end where the answer is.

The logs table is ordered by stream before time, so "the newest hundred" over all time would read everything.
A short window at the right end mostly has them; when it has not, the next one is larger.

Measured on 5 M lines of 36 h: the newest hundred of 40 streams cost 26 ms of CPU in a window of 15 minutes or of
an hour, 35 ms in one of 4 h, 62 ms over all; an empty window costs 3 to 5 ms. So few windows, fast growth.
"""

from __future__ import annotations

from collections.abc import Iterator

from sillok.model.timerange import TimeRange

FIRST_NS = 15 * 60 * 1_000_000_000
GROWTH = 16


def windows(time_range: TimeRange, *, newest_first: bool) -> Iterator[TimeRange]:
    """Windows that cover the range once, without overlap, in the order of the answer, each larger than the last."""
    width_ns = FIRST_NS
    start_ns, end_ns = time_range.start_ns, time_range.end_ns
    while start_ns < end_ns:
        if newest_first:
            edge_ns = max(start_ns, end_ns - width_ns)
            yield TimeRange(edge_ns, end_ns)
            end_ns = edge_ns
        else:
            edge_ns = min(end_ns, start_ns + width_ns)
            yield TimeRange(start_ns, edge_ns)
            start_ns = edge_ns
        width_ns *= GROWTH
