"""Durations as Prometheus and Go write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.text import duration

MINUTE_NS = 60 * duration.SECOND_NS
DAY_NS = 24 * 60 * MINUTE_NS


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("0", 0),
        ("5m", 5 * MINUTE_NS),
        ("1d12h", 36 * 60 * MINUTE_NS),
        ("1y1w1ms", 372 * DAY_NS + 1_000_000),
        ("1h30m", 90 * MINUTE_NS),
    ],
)
def test_prometheus_durations_are_read(text: str, expected_ns: int) -> None:
    assert duration.parse_prometheus(text) == expected_ns


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "empty duration string"),
        ("5", 'not a valid duration string: "5"'),
        ("5x", 'unknown unit "x" in duration "5x"'),
        ("1m1h", 'not a valid duration string: "1m1h"'),
        ("1.5h", 'unknown unit "." in duration "1.5h"'),
        ("300y", "duration out of range"),
        ("-5m", 'not a valid duration string: "-5m"'),
    ],
)
def test_what_is_no_prometheus_duration_is_refused_in_its_words(text: str, error: str) -> None:
    with pytest.raises(duration.DurationError) as refused:
        duration.parse_prometheus(text)
    assert str(refused.value) == error


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("1.5h", 90 * MINUTE_NS),
        ("-2m30s", -150 * duration.SECOND_NS),
        ("100µs", 100_000),
        (".5s", duration.SECOND_NS // 2),
        ("1m1h", 61 * MINUTE_NS),
        ("+0", 0),
    ],
)
def test_go_durations_are_read(text: str, expected_ns: int) -> None:
    assert duration.parse_go(text) == expected_ns


@pytest.mark.parametrize("text", ["", "5", "1d", ".s", "1h-1m", "9999999999h"])
def test_what_is_no_go_duration_is_refused(text: str) -> None:
    with pytest.raises(duration.DurationError):
        duration.parse_go(text)


@given(st.integers(min_value=-(2**62), max_value=2**62))
def test_a_duration_that_go_writes_reads_back(duration_ns: int) -> None:
    assert duration.parse_go(duration.format_go(duration_ns)) == duration_ns


@given(st.integers(min_value=0, max_value=2**40))
def test_a_duration_that_prometheus_writes_reads_back(milliseconds: int) -> None:
    duration_ns = milliseconds * 1_000_000
    assert duration.parse_prometheus(duration.format_prometheus(duration_ns)) == duration_ns


@pytest.mark.parametrize(
    ("duration_ns", "go", "prometheus"),
    [
        (0, "0s", "0s"),
        (721 * 60 * MINUTE_NS, "721h0m0s", "30d1h"),
        (90 * duration.SECOND_NS, "1m30s", "1m30s"),
        (1_500_000, "1.5ms", "1ms"),
        (14 * DAY_NS, "336h0m0s", "2w"),
    ],
)
def test_durations_are_written_as_their_own_programs_write_them(duration_ns: int, go: str, prometheus: str) -> None:
    assert (duration.format_go(duration_ns), duration.format_prometheus(duration_ns)) == (go, prometheus)
