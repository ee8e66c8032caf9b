"""Times as people write them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sillok.cli.times import parse_time, show_time, time_range
from sillok.errors import BadRequest

NOW_NS = 1_795_237_200_000_000_000  # 2026-11-21T05:00:00Z


@pytest.fixture(autouse=True)
def _in_seoul() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Seoul")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-21T13:00:00Z", "2026-11-21T13:00:00"),
        ("2026-11-21T13:00:00+09:00", "2026-11-21T04:00:00"),
        ("2026-11-21 13:00", "2026-11-21T04:00:00"),
        ("2026-11-21", "2026-11-20T15:00:00"),
        ("13:00", "2026-11-21T04:00:00"),
        ("9:30:15", "2026-11-21T00:30:15"),
        ("1795237200", "2026-11-21T05:00:00"),
        ("1795237200000", "2026-11-21T05:00:00"),
        ("1795237200000000", "2026-11-21T05:00:00"),
        ("1795237200000000000", "2026-11-21T05:00:00"),
        ("now", "2026-11-21T05:00:00"),
    ],
)
def test_a_time_is_understood(text: str, utc: str) -> None:
    expected = int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp()) * 10**9
    assert parse_time(text, NOW_NS) == expected


def test_nanoseconds_are_kept() -> None:
    assert parse_time("2026-11-21T05:00:00.123456789Z", NOW_NS) == NOW_NS + 123_456_789
    assert parse_time("1795237200.5", NOW_NS) == NOW_NS + 500_000_000


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "2026-13-01", "123", "13:00:00:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="is not a time"):
        parse_time(text, NOW_NS)


def options(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**{"since": None, "start": None, "end": None, **given})


def test_the_range_is_the_last_hour_unless_said_otherwise() -> None:
    assert time_range(options(), NOW_NS) == (NOW_NS - 3600 * 10**9, NOW_NS)
    assert time_range(options(since="2d"), NOW_NS) == (NOW_NS - 2 * 86400 * 10**9, NOW_NS)
    assert time_range(options(end="1795237000", since="10s"), NOW_NS)[0] == 1_795_236_990_000_000_000


@pytest.mark.parametrize(
    "given", [{"start": "13:00", "since": "1h"}, {"start": "13:00", "end": "12:00"}, {"since": "0"}, {"since": "soon"}]
)
def test_a_range_that_makes_no_sense_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        time_range(options(**given), NOW_NS)


def test_times_are_shown_here_or_in_utc() -> None:
    assert show_time(NOW_NS + 5_000_000, utc=True) == "2026-11-21T05:00:00.005Z"
    assert show_time(NOW_NS, utc=False) == "2026-11-21T14:00:00.000+09:00"
