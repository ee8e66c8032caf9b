"""A half-open range of time, in nanoseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimeRange:
    """All times t with `start_ns <= t < end_ns`."""

    start_ns: int
    end_ns: int
