"""Walking a time range window by window, from the end where the answer is.

The logs table is ordered by stream before time, so "the newest hundred" over all time would read everything.
A short window at the right end mostly has them; when it has not, the next one is larger.

Measured on 5 M lines of 36 h: the newest hundred of 40 streams cost 26 ms of CPU in a window of 15 minutes or of
an hour, 35 ms in one of 4 h, 62 ms over all; an empty window costs 3 to 5 ms. So few windows, fast growth.
A window that cuts a bucket of the table's order in two makes the engine read most of that bucket twice (a needle
over all lines: 1.34 s of CPU in three such windows, 1.06 s in one), so larger windows end where buckets end.
"""

from __future__ import annotations

from collections.abc import Iterator

from sillok.model.timerange import TimeRange
from sillok.schema.logs import BUCKET_NS

FIRST_NS = 15 * 60 * 1_000_000_000
GROWTH = 16
# After a window in which a filter kept nothing.
GROWTH_WHEN_RARE = 64


def windows(time_range: TimeRange, *, newest_first: bool) -> Iterator[TimeRange]:
    """Windows that cover the range once, without overlap, in the order of the answer, each larger than the last."""
    rest, width_ns = time_range, FIRST_NS
    while rest.start_ns < rest.end_ns:
        window, rest = cut(rest, width_ns, newest_first=newest_first)
        yield window
        width_ns *= GROWTH


def cut(rest: TimeRange, width_ns: int, *, newest_first: bool) -> tuple[TimeRange, TimeRange]:
    """The next window, at least `width_ns` wide where there is as much, and what is left after it."""
    align_ns = BUCKET_NS if width_ns >= BUCKET_NS else 1
    if newest_first:
        edge_ns = max(rest.start_ns, (rest.end_ns - width_ns) // align_ns * align_ns)
        return TimeRange(edge_ns, rest.end_ns), TimeRange(rest.start_ns, edge_ns)
    edge_ns = min(rest.end_ns, -((-rest.start_ns - width_ns) // align_ns) * align_ns)
    return TimeRange(rest.start_ns, edge_ns), TimeRange(edge_ns, rest.end_ns)
