"""The collector's own messages: about states, never about lines.

What the collector writes is collected too, where its log is watched. So nothing here is said once a
line or once a batch: a state is said when it begins, again after a growing while, and its end is said
once. A state that comes and goes all the time speaks ever more rarely as well.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_REPEAT_S = 60.0
MAX_REPEAT_S = 3600.0
MAX_STATES = 10_000  # Beyond it, new states are not said.

_log = logging.getLogger("sillok.agent")


@dataclass(slots=True)
class _Said:
    """A state that was said at least once. `is_open`: its end has not been said."""

    next_s: float
    wait_s: float
    is_open: bool = True


class Notices:
    """States by key: said at once, then again after 1, 2, 4 … 60 minutes at the earliest, standing or not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[str, _Said] = {}

    def state(self, key: str, text: str, *, level: int = logging.WARNING, repeats: bool = True) -> None:
        """`key` is the case now, and `text` says what that means."""
        now = self._clock()
        with self._lock:
            said = self._said.get(key)
            if said is None:
                if len(self._said) >= MAX_STATES:
                    return
                self._said[key] = _Said(now + FIRST_REPEAT_S, FIRST_REPEAT_S)
            elif now < said.next_s or (said.is_open and not repeats):
                return
            else:
                said.wait_s = min(said.wait_s * 2, MAX_REPEAT_S)
                said.next_s = now + said.wait_s
                said.is_open = True
        _log.log(level, "%s", text)

    def over(self, key: str, text: str | None = None) -> None:
        """`key` is the case no more; `text` is said if the state was."""
        with self._lock:
            said = self._said.get(key)
            if said is None or not said.is_open:
                return
            said.is_open = False
        if text is not None:
            _log.info("%s", text)
