"""What is printed where: colours where they are seen, progress where it does not get in the way."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from sillok.cli.config import wants_no_colour

PROGRESS_EVERY_S = 0.2

RESET = "\033[0m"
DIM = "\033[2m"
BOLD = "\033[1m"
LEVEL_COLOURS = {
    "critical": "\033[1;31m",
    "fatal": "\033[1;31m",
    "error": "\033[31m",
    "warn": "\033[33m",
    "info": "\033[32m",
    "debug": "\033[36m",
    "trace": "\033[2m",
}


def has_colour(choice: str, stream: TextIO) -> bool:
    """`always`, `never`, or `auto`: on a terminal that can, unless NO_COLOR is set."""
    if choice == "auto":
        return stream.isatty() and not wants_no_colour()
    return choice == "always"


def paint(text: str, colour: str, *, enabled: bool) -> str:
    return f"{colour}{text}{RESET}" if enabled and colour else text


class Progress:
    """One line on standard error that is written over; nothing where standard error is no terminal."""

    def __init__(self, *, enabled: bool = True, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._enabled = enabled and self._stream.isatty()
        self._shown_s = 0.0
        self._is_shown = False

    @property
    def is_enabled(self) -> bool:
        return self._enabled

    def show(self, text: str) -> None:
        now_s = time.monotonic()
        if self._enabled and now_s - self._shown_s >= PROGRESS_EVERY_S:
            self._shown_s = now_s
            self._is_shown = True
            # A line that wraps cannot be written over.
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\033[K{text if len(text) <= width else text[: width - 1] + '…'}")
            self._stream.flush()

    def clear(self) -> None:
        if self._is_shown:
            self._is_shown = False
            self._stream.write("\r\033[K")
            self._stream.flush()
