"""What a process of ours arranges with the system."""

from __future__ import annotations

import ctypes
import os
import signal

PARENT_VARIABLE = "SILLOK_PARENT_PID"  # set by `sillok up` for the processes it starts

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Started by `sillok up`: get a SIGTERM when it ends, however it ends. Linux only; elsewhere nothing."""
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent.isdecimal():
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        return
    if os.getppid() != int(parent):
        os.kill(os.getpid(), signal.SIGTERM)  # It ended before we could ask.
