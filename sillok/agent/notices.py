"""The collector's own messages: about states, never about lines.

What the collector writes is collected too, where its log is watched. So nothing here is said once a
line or once a batch: a state is said when it begins, again after a growing while, and when it ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

FIRST_REPEAT_S = 60.0
MAX_REPEAT_S = 3600.0
MAX_STATES = 10_000  # Beyond it, new states are counted and not said.

_log = logging.getLogger("sillok.agent")


class Notices:
    """States by key. A state that stands is repeated after 1, 2, 4 … 60 minutes at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._standing: dict[str, tuple[float, float]] = {}  # key → (next time, wait after it)

    def state(self, key: str, text: str, *, level: int = logging.WARNING, repeats: bool = True) -> None:
        """`key` is the case now, and `text` says what that means."""
        now = self._clock()
        with self._lock:
            next_s, wait_s = self._standing.get(key, (now, FIRST_REPEAT_S))
            is_new = key not in self._standing
            if now < next_s or (not is_new and not repeats) or (is_new and len(self._standing) >= MAX_STATES):
                return
            self._standing[key] = (now + wait_s, min(wait_s * 2, MAX_REPEAT_S))
        _log.log(level, "%s", text)

    def over(self, key: str, text: str | None = None) -> None:
        """`key` is the case no more; said when it was."""
        with self._lock:
            if key not in self._standing:
                return
            # The wait is kept: a state that comes and goes must not speak each time.
            next_s, wait_s = self._standing[key]
            if self._clock() >= next_s:
                del self._standing[key]
            elif text is not None:
                text = None if wait_s > 2 * FIRST_REPEAT_S else text
        if text is not None:
            _log.info("%s", text)
