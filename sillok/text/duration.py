"""Durations in the two forms the field writes: Prometheus' `1d12h` and Go's `1h30m0.5s`. All in nanoseconds.

Source: prometheus/common model/time.go `ParseDuration`; Go time/format.go `ParseDuration`, time/time.go `String`
"""

from __future__ import annotations

import re
from fractions import Fraction

SECOND_NS = 1_000_000_000
MAX_NS = 2**63 - 1

# From large to small: a duration names each at most once, in this order.
_PROMETHEUS_UNITS_NS = {
    "y": 365 * 24 * 3600 * SECOND_NS,
    "w": 7 * 24 * 3600 * SECOND_NS,
    "d": 24 * 3600 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "m": 60 * SECOND_NS,
    "s": SECOND_NS,
    "ms": 1_000_000,
}
_GO_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}
_PART = re.compile(r"([0-9]+)([^0-9]*)")
_GO_NUMBER = re.compile(r"[0-9]*(?:\.[0-9]*)?")
_GO_UNIT = re.compile(r"[^.0-9]+")


class DurationError(ValueError):
    """The text is no duration; says why in the words of the Go function that reads it elsewhere."""


def parse_prometheus(text: str) -> int:
    """`5m`, `1d12h`, `0`: whole numbers, units from large to small."""
    if text == "0":
        return 0
    if not text:
        raise DurationError("empty duration string")
    order = list(_PROMETHEUS_UNITS_NS)
    position, last, total_ns = 0, -1, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or not part[2]:
            raise DurationError(f"not a valid duration string: {_quoted(text)}")
        count, unit = part.groups()
        if unit not in _PROMETHEUS_UNITS_NS:
            raise DurationError(f"unknown unit {_quoted(unit)} in duration {_quoted(text)}")
        if order.index(unit) <= last:
            raise DurationError(f"not a valid duration string: {_quoted(text)}")
        last = order.index(unit)
        total_ns += int(count) * _PROMETHEUS_UNITS_NS[unit]
        if total_ns > MAX_NS:
            raise DurationError("duration out of range")
        position = part.end()
    return total_ns


def parse_go(text: str) -> int:
    """`1.5h`, `-2m30s`, `100µs`: decimal fractions, any order, a sign."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest:
        raise DurationError(f"time: invalid duration {_quoted(text)}")
    total_ns, position = 0, 0
    while position < len(rest):
        number = _GO_NUMBER.match(rest, position)
        if number is None or number[0] in ("", "."):
            raise DurationError(f"time: invalid duration {_quoted(text)}")
        unit = _GO_UNIT.match(rest, number.end())
        if unit is None:
            raise DurationError(f"time: missing unit in duration {_quoted(text)}")
        if unit[0] not in _GO_UNITS_NS:
            raise DurationError(f"time: unknown unit {_quoted(unit[0])} in duration {_quoted(text)}")
        whole, _, fraction = number[0].partition(".")
        total_ns += int(whole or 0) * _GO_UNITS_NS[unit[0]]
        total_ns += int(Fraction(int(fraction or 0), 10 ** len(fraction)) * _GO_UNITS_NS[unit[0]])
        position = unit.end()
    if total_ns > MAX_NS:
        raise DurationError(f"time: invalid duration {_quoted(text)}")
    return -total_ns if text.startswith("-") else total_ns


def parse(text: str) -> int:
    """Prometheus' form, or else Go's: what LogQL and Loki's configuration take."""
    try:
        return parse_prometheus(text)
    except DurationError:
        return parse_go(text)


def format_prometheus(duration_ns: int) -> str:
    """`90s` is `1m30s`; weeks and years only when they come out even. Precise to milliseconds.

    Source: prometheus/common model/time.go `Duration.String`
    """
    rest = duration_ns // 1_000_000
    if rest == 0:
        return "0s"
    sign, rest = ("-", -rest) if rest < 0 else ("", rest)
    written = []
    for unit, unit_ns in _PROMETHEUS_UNITS_NS.items():
        unit_ms = unit_ns // 1_000_000
        if unit in ("y", "w") and rest % unit_ms:
            continue
        if rest >= unit_ms:
            written.append(f"{rest // unit_ms}{unit}")
            rest %= unit_ms
    return sign + "".join(written)


def format_go(duration_ns: int) -> str:
    """`1h0m0s`, `1.5s`, `100µs`: as Go prints a `time.Duration`."""
    if duration_ns == 0:
        return "0s"
    sign, rest = ("-", -duration_ns) if duration_ns < 0 else ("", duration_ns)
    if rest < SECOND_NS:
        unit = next(unit for unit in ("ms", "µs", "ns") if rest >= _GO_UNITS_NS[unit])
        return f"{sign}{_decimal(rest, _GO_UNITS_NS[unit])}{unit}"
    minutes, rest = divmod(rest, 60 * SECOND_NS)
    seconds = f"{_decimal(rest, SECOND_NS)}s"
    if not minutes:
        return sign + seconds
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0") if rest else str(whole)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
