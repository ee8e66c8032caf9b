"""The time of lines that carry none: when they were read."""

from __future__ import annotations

import time
from collections.abc import Callable


class LineClock:
    """Nanoseconds that never repeat, even for lines that were read at once.

    Loki takes two equal lines with equal times in one stream for one line; ours stay two. Only the
    thread that reads sources calls this.
    """

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._last_ns = 0

    def reserve(self, count: int) -> int:
        """The time of the first of `count` lines; the others follow at one nanosecond each."""
        first_ns = max(self._now_ns(), self._last_ns + 1)
        self._last_ns = first_ns + count - 1
        return first_ns
