"""One line at one time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """`line` holds bytes that are not UTF-8 as lone surrogates (`errors="surrogateescape"`)."""

    time_ns: int
    line: str
    metadata: tuple[tuple[str, str], ...] = ()
