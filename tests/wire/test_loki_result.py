"""Results in Loki's JSON, as Go writes it."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.wire import loki_result
from sillok.wire.loki_result import Dropped, Stats


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2.0, "2"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (123456789.125, "123456789.125"),
        (-0.0, "-0"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (1.7976931348623157e308, "17976931348623157" + "0" * 292),
    ],
)
def test_numbers_have_no_exponent(value: float, expected: str) -> None:
    assert loki_result.format_float(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_as_they_were(value: float) -> None:
    assert float(loki_result.format_float(value)) == value


@given(st.text())
def test_what_is_escaped_means_the_same(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    assert orjson.loads(loki_result.go_json({"line": text})) == {"line": text}


def test_text_is_escaped_as_go_does_it() -> None:
    assert loki_result.go_json('<a> & "b" \\ \u2028\u2029\t\b\f\x00\x7fé\\b') == (
        b'"\\u003ca\\u003e \\u0026 \\"b\\" \\\\ \\u2028\\u2029\\t\\u0008\\u000c\\u0000\x7f\xc3\xa9\\\\b"'
    )


def test_times_of_samples_have_milliseconds_when_they_need_them() -> None:
    samples = [((), (1_700_000_000_500_000_000, 1.0)), ((("a", "b"),), (1_700_000_000_000_999_999, 2.0))]
    head = loki_result.vector_body(samples, Stats()).partition(b',"stats":')[0]
    assert head == (
        b'{"status":"success","data":{"resultType":"vector","result":['
        b'{"metric":{},"value":[1700000000.5,"1"]},{"metric":{"a":"b"},"value":[1700000000,"2"]}]'
    )


def test_statistics_have_the_keys_that_logcli_reads() -> None:
    stats = json.loads(loki_result.encode_stats(Stats(lines=10, bytes=2000, returned=3, exec_s=0.5, queue_s=0.1)))
    assert list(stats) == ["summary", "querier", "ingester", "cache", "index"]
    assert stats["summary"]["bytesProcessedPerSecond"] == 4000
    assert stats["summary"]["linesProcessedPerSecond"] == 20
    assert stats["querier"]["store"]["chunk"]["decompressedBytes"] == 2000


def test_a_tails_frame_names_what_was_dropped() -> None:
    frame = loki_result.tail_frame(b"[]", [Dropped((("app", "a"),), 7)])
    assert frame == b'{"streams":[],"dropped_entries":[{"timestamp":"7","labels":{"app":"a"}}]}'
