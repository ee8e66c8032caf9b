"""The forms in which Loki reads times and durations; texts recorded from the real Loki."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sillok.errors import BadRequest
from sillok.model.timerange import TimeRange
from sillok.server.loki.params import HOUR_NS, SECOND_NS, Params, parse_duration, parse_time, query_params

NOW_NS = 1_795_235_038_123_456_789


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("", NOW_NS),
        ("1", SECOND_NS),
        ("1795235038", 1_795_235_038 * SECOND_NS),
        ("17952350380", 17_952_350_380),  # eleven digits are nanoseconds
        ("1795235038123456789", 1_795_235_038_123_456_789),
        ("-5", -5 * SECOND_NS),
        ("1795235038.5", 1_795_235_038_500_000_000),
        ("1795235038.1234", 1_795_235_038_123_000_000),
        ("2026-11-21T04:23:58Z", 1_795_235_038 * SECOND_NS),
        ("2026-11-21T04:23:58.123456789Z", 1_795_235_038_123_456_789),
        ("2026-11-21T13:23:58.5+09:00", 1_795_235_038_500_000_000),
        ("2026-11-20T23:23:58-05:00", 1_795_235_038 * SECOND_NS),
    ],
)
def test_a_time_is_read_in_all_of_lokis_formats(text: str, time_ns: int) -> None:
    assert parse_time(text, NOW_NS) == time_ns


@pytest.mark.parametrize("text", ["abc", "1e5", "2026-13-01T00:00:00Z", "2026-11-21 04:23:58", "1_000", "nan", "1.5.1"])
def test_what_is_no_time_is_refused_in_gos_words(text: str) -> None:
    with pytest.raises(BadRequest, match=r'strconv\.ParseInt: parsing ".*": invalid syntax'):
        parse_time(text, NOW_NS)


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("1", SECOND_NS),
        ("0.25", SECOND_NS // 4),
        ("1e1", 10 * SECOND_NS),
        ("1h30m", HOUR_NS + HOUR_NS // 2),
        ("2d", 48 * HOUR_NS),
        ("1w", 168 * HOUR_NS),
        ("5ms", 5_000_000),
        ("0", 0),
    ],
)
def test_a_duration_is_seconds_or_prometheus_notation(text: str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize("text", ["abc", "1m1h", "1h 30m", "-1h", "ms", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=f'cannot parse "{text}" to a valid duration'):
        parse_duration(text)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", TimeRange(NOW_NS - HOUR_NS, NOW_NS)),
        ("since=5m", TimeRange(NOW_NS - 300 * SECOND_NS, NOW_NS)),
        ("end=7200&since=1h", TimeRange(3600 * SECOND_NS, 7200 * SECOND_NS)),
        ("start=10&end=20&since=1h", TimeRange(10 * SECOND_NS, 20 * SECOND_NS)),
        # An end in the future: `since` counts from now.
        ("end=9000000000", TimeRange(NOW_NS - HOUR_NS, 9_000_000_000 * SECOND_NS)),
        ("end=9999999999", TimeRange(NOW_NS - HOUR_NS, 2**63 - 1)),
    ],
)
def test_a_range_has_lokis_defaults(query: str, expected: TimeRange) -> None:
    assert query_params(query).time_range(now_ns=NOW_NS) == expected


def test_the_default_step_is_a_250th_of_the_range_in_whole_seconds() -> None:
    hour, minute = TimeRange(0, HOUR_NS), TimeRange(0, 60 * SECOND_NS)

    assert query_params("").step_ns(hour) == 14 * SECOND_NS
    assert query_params("").step_ns(minute) == SECOND_NS


REFUSED: list[tuple[str, Callable[[Params], object], str]] = [
    ("limit=x", Params.limit, 'strconv.Atoi: parsing "x": invalid syntax'),
    ("limit=0", Params.limit, "limit must be a positive value"),
    ("limit=-1", Params.limit, "limit must be a positive value"),
    ("limit=99999999999", Params.limit, "limit value 99999999999 is out of range [0, 4294967295]"),
    ("direction=sideways", Params.newest_first, "invalid direction 'sideways'"),
    ("interval=-1", Params.interval_ns, "interval must be >= 0"),
    ("interval=abc", Params.interval_ns, 'cannot parse "abc" to a valid duration'),
    ("delay_for=6", Params.delay_for_s, "delay_for can't be greater than 5"),
    (
        "start=abc",
        lambda params: params.time_range(now_ns=NOW_NS),
        "could not parse 'start' parameter: strconv.ParseInt: parsing \"abc\": invalid syntax",
    ),
    (
        "since=abc",
        lambda params: params.time_range(now_ns=NOW_NS),
        "could not parse 'since' parameter: not a valid duration string: \"abc\"",
    ),
    (
        "step=0",
        lambda params: params.step_ns(TimeRange(0, HOUR_NS)),
        "zero or negative query resolution step widths are not accepted. Try a positive integer",
    ),
    (
        "step=0.001",
        lambda params: params.step_ns(TimeRange(0, HOUR_NS)),
        "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
    ),
]


@pytest.mark.parametrize(("query", "read", "text"), REFUSED, ids=[query for query, _, _ in REFUSED])
def test_a_bad_parameter_is_refused_in_lokis_words(query: str, read: Callable[[Params], object], text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(query_params(query))

    assert str(refused.value) == text
