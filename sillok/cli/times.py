"""Times and time ranges as people write them on the command line."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime

from sillok.errors import BadRequest

SECOND_NS = 1_000_000_000
DEFAULT_SINCE = "1h"  # as logcli

# What a unix time counts, by its digits: seconds, milliseconds, microseconds, nanoseconds.
_UNIX_UNITS = {9: SECOND_NS, 10: SECOND_NS, 13: 1_000_000, 16: 1_000, 19: 1}
_FRACTION = re.compile(r"\.(\d{1,9})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("time range")
    group.add_argument(
        "--since",
        metavar="DURATION",
        default=None,
        help=f"from this long ago, e.g. 15m, 24h, 7d (default {DEFAULT_SINCE})",
    )
    group.add_argument(
        "--from",
        metavar="TIME",
        dest="start",
        help="from this time: RFC 3339, 2026-11-21 13:00, 13:00, or unix seconds or nanoseconds",
    )
    group.add_argument("--to", metavar="TIME", dest="end", help="up to this time (not included); default: now")


def time_range(args: argparse.Namespace, now_ns: int) -> tuple[int, int]:
    """Start and end of the options of `add_arguments`.

    Raises:
        BadRequest: they cannot be understood, or end before they start.
    """
    if args.start and args.since:
        raise BadRequest("--from and --since both say where to start: give one of them")
    end_ns = parse_time(args.end, now_ns) if args.end else now_ns
    start_ns = parse_time(args.start, now_ns) if args.start else end_ns - since_ns(args.since or DEFAULT_SINCE)
    if start_ns >= end_ns:
        raise BadRequest("the time range is empty: it ends before it starts")
    return start_ns, end_ns


def since_ns(text: str) -> int:
    """Nanoseconds of `15m`, `24h`, `7d`.

    Raises:
        BadRequest: it is no duration.
    """
    from sillok.config.kinds import Unfit, parse_duration_ns

    try:
        return parse_duration_ns(text)
    except Unfit as unfit:
        raise BadRequest(str(unfit)) from None


def parse_time(text: str, now_ns: int) -> int:
    """Nanoseconds of a time as people write it; without a zone it is the time of this machine.

    Raises:
        BadRequest: it is none.
    """
    text = text.strip()
    if text == "now":
        return now_ns
    number = re.fullmatch(r"(\d+)(?:\.(\d{1,9}))?", text)
    if number and len(number.group(1)) in _UNIX_UNITS:
        fraction = int((number.group(2) or "").ljust(9, "0"))
        return int(number.group(1)) * _UNIX_UNITS[len(number.group(1))] + fraction
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
        today = datetime.fromtimestamp(now_ns / SECOND_NS).astimezone()
        text = f"{today:%Y-%m-%d}T{text if text[2] == ':' else '0' + text}"
    return _parse_date(text)


def _parse_date(text: str) -> int:
    # `datetime` knows microseconds; the fraction is kept apart, in nanoseconds.
    fraction = _FRACTION.search(text)
    whole = text[: fraction.start()] + text[fraction.end() :] if fraction else text
    try:
        at = datetime.fromisoformat(whole)
    except ValueError:
        raise BadRequest(
            f"{text!r} is not a time: write 2026-11-21T13:00:00Z, '2026-11-21 13:00', 13:00 or unix seconds"
        ) from None
    seconds = int(at.astimezone(UTC).timestamp())
    return seconds * SECOND_NS + (int(fraction.group(1).ljust(9, "0")) if fraction else 0)


def show_time(time_ns: int, *, utc: bool) -> str:
    """RFC 3339 with milliseconds, in this machine's zone or UTC."""
    at = datetime.fromtimestamp(time_ns // SECOND_NS, UTC)
    at = at if utc else at.astimezone()
    text = f"{at:%Y-%m-%dT%H:%M:%S}.{time_ns % SECOND_NS // 1_000_000:03d}"
    return text + ("Z" if utc else f"{at:%z}"[:3] + ":" + f"{at:%z}"[3:])
