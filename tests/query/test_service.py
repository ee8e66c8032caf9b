"""Queries in Loki's language, answers in Loki's shape, over the real engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from sillok.errors import BadRequest, NotFound, QueryRejected, QuerySyntaxError, StoreUnavailable
from sillok.model.limits import HOUR_NS, Limits
from sillok.query.service import ROWS_FOR_A_WORKER, QueryService
from tests.query.conftest import NOW, SECOND_NS, World, data, entries, lines, numbered

T = NOW - 3600 * SECOND_NS
RANGE = {"start_ns": T, "end_ns": NOW}


def ask(world: World, question: Callable[[QueryService], Awaitable[bytes]]) -> bytes:
    async def asked() -> bytes:
        service = world.service()
        try:
            return await question(service)
        finally:
            await service.close()

    return asyncio.run(asked())


def logs(world: World, query: str, **wanted: Any) -> bytes:
    given = {**RANGE, "limit": 100, "newest_first": True, "step_ns": None, "interval_ns": None, **wanted}
    return ask(world, lambda service: service.query_range(world.tenant, query, **given))


def instant(world: World, query: str, time_ns: int = T + 10 * SECOND_NS) -> Any:
    return data(
        ask(
            world,
            lambda service: service.query(world.tenant, query, time_ns=time_ns, limit=100, newest_first=True),
        )
    )


def matrix(world: World, query: str, *, steps: int, step_ns: int = SECOND_NS, start_ns: int = T) -> Any:
    end_ns = start_ns + (steps - 1) * step_ns
    body = logs(world, query, start_ns=start_ns, end_ns=end_ns, step_ns=step_ns)
    found = data(body)
    assert found["resultType"] == "matrix"
    return {tuple(sorted(one["metric"].items())): one["values"] for one in found["result"]}


def test_an_answer_is_lokis_to_the_byte(world: World) -> None:
    world.push({"app": "a", "z": "1"}, [(T, "level=error <one> & é", {"trace": "t0"})])
    world.push({"app": "a", "b": "2"}, [(T + 5, 'tab\tquote" \u2028 \b')])
    body = logs(world, '{app="a"}')
    head, _, stats = body.partition(b',"stats":')
    assert head == (
        b'{"status":"success","data":{"resultType":"streams","result":['
        b'{"stream":{"app":"a","b":"2","detected_level":"unknown"},'
        b'"values":[["1700000000000000005","tab\\tquote\\" \\u2028 \\u0008"]]},'
        b'{"stream":{"app":"a","detected_level":"error","trace":"t0","z":"1"},'
        b'"values":[["1700000000000000000","level=error \\u003cone\\u003e \\u0026 \xc3\xa9"]]}]'
    )
    assert body.endswith(b"}}\n")
    summary = orjson.loads(b'{"stats":' + stats.rstrip(b"\n")[:-1])["stats"]["summary"]
    assert summary["totalLinesProcessed"] >= 2
    assert summary["totalEntriesReturned"] == 2
    assert summary["execTime"] > 0


def test_metadata_stands_apart_from_the_streams_labels_when_asked_for(world: World) -> None:
    world.push({"app": "a"}, [(T, "warn: x", {"trace": "t0"}), (T + 1, "y")], level_hint="warn")
    body = logs(world, '{app="a"}', categorize=True)
    assert b'"resultType":"streams","encodingFlags":["categorize-labels"],"result":[' in body
    assert data(body)["result"] == [
        {
            "stream": {"app": "a"},
            "values": [
                [str(T + 1), "y", {"structuredMetadata": {"detected_level": "warn"}}],
                [str(T), "warn: x", {"structuredMetadata": {"detected_level": "warn", "trace": "t0"}}],
            ],
        }
    ]


def test_an_entry_without_metadata_has_an_empty_third_element(world: World) -> None:
    world.push({"app": "a"}, [(T, "x")], level_hint="-")
    assert data(logs(world, '{app="a"}', categorize=True))["result"][0]["values"] == [[str(T), "x", {}]]


def test_metadata_with_the_name_of_a_label_is_called_extracted(world: World) -> None:
    world.push({"app": "a"}, [(T, "x", {"app": "other"})], level_hint="info")
    assert data(logs(world, '{app="a"}'))["result"][0]["stream"] == {
        "app": "a",
        "app_extracted": "other",
        "detected_level": "info",
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{app="a"}', {"a one", "a two"}),
        ('{app!="a", job="j"}', {"b one"}),
        ('{app=~"a|b"}', {"a one", "a two", "b one"}),
        ('{app!~"a.*", job="j"}', {"b one"}),
        ('{app=~"A"}', set()),
        ('{missing="", job="j"}', {"a one", "a two", "b one"}),
        ('{job="j"} |= "one"', {"a one", "b one"}),
        ('{job="j"} |= "one" != "a"', {"b one"}),
        ('{job="j"} |~ "t.o|b"', {"a two", "b one"}),
        ('{job="j"} !~ "o.e"', {"a two"}),
        ('{job="j"} |= "two" or "b"', {"a two", "b one"}),
        ('{job="j"} # nothing else\n |= `one`', {"a one", "b one"}),
    ],
)
def test_matchers_and_line_filters_choose_the_lines(world: World, query: str, expected: set[str]) -> None:
    world.push({"app": "a", "job": "j"}, [(T, "a one"), (T + 1, "a two")])
    world.push({"app": "b", "job": "j"}, [(T, "b one")])
    assert set(lines(logs(world, query))) == expected


def test_the_newest_come_first_and_the_oldest_when_asked(world: World) -> None:
    world.push({"app": "a"}, list(numbered(0, 50)))
    assert lines(logs(world, '{app="a"}', limit=3)) == ["line 49", "line 48", "line 47"]
    assert lines(logs(world, '{app="a"}', limit=3, newest_first=False)) == ["line 0", "line 1", "line 2"]


def test_entries_of_the_same_time_keep_the_order_they_were_sent_in(world: World) -> None:
    world.push({"app": "a"}, [(T, "first"), (T, "second")])
    world.push({"app": "a"}, [(T, "third")])
    assert lines(logs(world, '{app="a"}', newest_first=False)) == ["first", "second", "third"]
    assert lines(logs(world, '{app="a"}')) == ["third", "second", "first"]


def test_a_range_holds_its_start_and_not_its_end(world: World) -> None:
    world.push({"app": "a"}, [(T, "start"), (T + 10, "end")])
    assert lines(logs(world, '{app="a"}', start_ns=T, end_ns=T + 10)) == ["start"]


def test_entries_at_least_an_interval_apart(world: World) -> None:
    world.push({"app": "a"}, list(numbered(0, 10)))
    world.push({"app": "b"}, [(T + 500, "between")])
    three = 3 * SECOND_NS
    assert lines(logs(world, '{app="a"}', interval_ns=three)) == ["line 9", "line 6", "line 3", "line 0"]
    assert lines(logs(world, '{app="a"}', interval_ns=three, newest_first=False, limit=2)) == ["line 0", "line 3"]


def test_a_large_answer_comes_from_a_row_worker_and_is_the_same(world: World) -> None:
    count = ROWS_FOR_A_WORKER + 200
    world.push({"app": "a"}, list(numbered(0, count)))
    body = logs(world, '{app="a"}', limit=5000)
    assert lines(body) == [f"line {n}" for n in reversed(range(count))]


def test_a_line_that_is_no_utf_8_is_shown_with_replacement_characters(world: World) -> None:
    world.push({"app": "a"}, [(T, "x")])
    world.engine.insert("sillok.logs", _with_line(world, b"broken \xff line"))
    assert lines(logs(world, '{app="a"} |= "broken"')) == ["broken \ufffd line"]
    assert lines(logs(world, '{app="a"} |= "\\xff"')) == ["broken \ufffd line"]


def _with_line(world: World, line: bytes) -> Any:
    import pyarrow as pa

    (sid,) = world.streams.select(world.tenant, ())
    return pa.table(
        {
            "tenant": [world.tenant],
            "sid": pa.array([sid], pa.uint64()),
            "ts": pa.array([T + 1], pa.int64()),
            "line": pa.array([line], pa.binary()),
        }
    )


@pytest.mark.parametrize("query", ['{app=~".*"}', "{}", '{app=""}', '{app!="x"}', '{app=~"a?"} |= "x"'])
def test_a_query_for_everything_is_refused(world: World, query: str) -> None:
    with pytest.raises(QuerySyntaxError, match="queries require at least one regexp or equality matcher"):
        logs(world, query)


def test_a_query_over_a_limit_is_refused_in_lokis_words(world: World) -> None:
    world.limits = Limits(max_entries_limit_per_query=5000, max_query_length_ns=721 * HOUR_NS)
    with pytest.raises(QueryRejected) as refused:
        logs(world, '{app="a"}', limit=6000)
    expected = "max entries limit per query exceeded, limit > max_entries_limit_per_query (6000 > 5000)"
    assert str(refused.value) == expected
    with pytest.raises(QueryRejected) as refused:
        logs(world, '{app="a"}', end_ns=T + 744 * HOUR_NS)
    expected = "the query time range exceeds the limit (query length: 744h0m0s, limit: 30d1h)"
    assert str(refused.value) == expected


def test_a_look_back_hides_what_is_older(world: World) -> None:
    world.push({"app": "a"}, [(NOW - 1000 * SECOND_NS, "old"), (NOW - SECOND_NS, "new")])
    world.limits = Limits(max_query_lookback_ns=100 * SECOND_NS)
    assert lines(logs(world, '{app="a"}')) == ["new"]


def test_an_instant_log_query_is_refused_as_in_loki(world: World) -> None:
    with pytest.raises(BadRequest, match="log queries are not supported as an instant query type"):
        instant(world, '{app="a"}')


def test_grafanas_health_check_of_a_data_source_is_answered(world: World) -> None:
    assert instant(world, "vector(1)+vector(1)", T) == {
        "resultType": "vector",
        "result": [{"metric": {}, "value": [1700000000, "2"]}],
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("1 + 2 * 3", "7"),
        ("2 ^ 3 ^ 2", "512"),
        ("7 % 4 - 1", "2"),
        ("1 > 2", "0"),
        ("1 < bool 2", "1"),
        ("-1 / 3", "-0.3333333333333333"),
        ("1 / 0", "NaN"),
        ("1e21 + 1", "1000000000000000000000"),
        ("1e-7 * 1", "0.0000001"),
    ],
)
def test_scalars_are_calculated_and_written_as_in_loki(world: World, query: str, expected: str) -> None:
    assert instant(world, query, T) == {"resultType": "scalar", "result": [1700000000000, expected]}


def test_a_vector_that_a_comparison_keeps_has_its_own_value(world: World) -> None:
    assert instant(world, "vector(3) > 2")["result"][0]["value"][1] == "3"
    assert instant(world, "2 < vector(3)")["result"][0]["value"][1] == "3"
    assert instant(world, "vector(3) > bool 5")["result"][0]["value"][1] == "0"
    assert instant(world, "vector(3) > 5")["result"] == []


def test_windows_are_open_at_their_start_and_closed_at_their_end(world: World) -> None:
    world.push({"app": "a"}, [(T + n * SECOND_NS, "x") for n in range(10)], level_hint="-")
    counted = matrix(world, 'count_over_time({app="a"}[3s])', steps=5, step_ns=2 * SECOND_NS)
    assert counted == {
        (("app", "a"),): [
            [1700000000, "1"],
            [1700000002, "3"],
            [1700000004, "3"],
            [1700000006, "3"],
            [1700000008, "3"],
        ]
    }


def test_windows_with_gaps_between_them_leave_the_gaps_out(world: World) -> None:
    world.push({"app": "a"}, [(T + n * SECOND_NS, "x") for n in range(10)], level_hint="-")
    counted = matrix(world, 'sum(count_over_time({app="a"}[2s]))', steps=2, step_ns=5 * SECOND_NS)
    assert counted == {(): [[1700000000, "1"], [1700000005, "2"]]}


def test_a_step_that_starts_between_seconds_is_kept(world: World) -> None:
    world.push({"app": "a"}, [(T + n * SECOND_NS, "x") for n in range(10)], level_hint="-")
    start = T + SECOND_NS // 2
    counted = matrix(world, 'sum(count_over_time({app="a"}[3s]))', steps=2, step_ns=2 * SECOND_NS, start_ns=start)
    assert counted == {(): [[1700000000.5, "1"], [1700000002.5, "3"]]}


def test_an_offset_moves_the_window_back(world: World) -> None:
    world.push({"app": "a"}, [(T, "x")], level_hint="-")
    query = 'count_over_time({app="a"}[1s] offset 5s)'
    assert instant(world, query, T + 5 * SECOND_NS)["result"][0]["value"] == [1700000005, "1"]
    assert instant(world, query, T)["result"] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('count_over_time({app="a"}[10s])', "4"),
        ('rate({app="a"}[10s])', "0.4"),
        ('bytes_over_time({app="a"}[10s])', "12"),
        ('bytes_rate({app="a"}[10s])', "1.2"),
        ('count_over_time({app="a"} |= "1" [10s])', "1"),
        ('sum(rate({app="a"}[10s])) * 10', "4"),
    ],
)
def test_entries_and_bytes_are_counted_and_rated(world: World, query: str, expected: str) -> None:
    world.push({"app": "a"}, [(T + n * SECOND_NS, f"é{n}") for n in range(4)], level_hint="-")
    assert instant(world, query, T + 5 * SECOND_NS)["result"][0]["value"] == [1700000005, expected]


def test_a_window_without_entries_has_no_sample_and_one_with_empty_lines_has(world: World) -> None:
    world.push({"app": "a"}, [(T, "")], level_hint="-")
    assert matrix(world, 'bytes_over_time({app="a"}[1s])', steps=3) == {(("app", "a"),): [[1700000000, "0"]]}


def test_grafanas_log_volume_groups_by_level(world: World) -> None:
    world.push({"app": "a", "level": "warn"}, [(T, "x")], level_hint="warn")
    world.push({"app": "a"}, [(T, "error: y"), (T, "plain")])
    world.push({"app": "a"}, [(T, "z", {"level": "debug"})], level_hint="debug")
    query = 'sum by (level, detected_level) (count_over_time({app="a"}[1s]))'
    assert matrix(world, query, steps=1) == {
        (("detected_level", "debug"), ("level", "debug")): [[1700000000, "1"]],
        (("detected_level", "error"),): [[1700000000, "1"]],
        (("detected_level", "unknown"),): [[1700000000, "1"]],
        (("detected_level", "warn"), ("level", "warn")): [[1700000000, "1"]],
    }


def test_grouping_by_some_labels_or_by_all_but_some(world: World) -> None:
    world.push({"app": "a", "host": "1"}, [(T, "x", {"user": "u"})], level_hint="-")
    world.push({"app": "a", "host": "2"}, [(T, "x"), (T, "y")], level_hint="-")
    count = 'count_over_time({app="a"}[1s])'
    by_host = matrix(world, f"sum by (host) ({count})", steps=1)
    assert by_host == {(("host", "1"),): [[1700000000, "1"]], (("host", "2"),): [[1700000000, "2"]]}
    assert matrix(world, f"sum by (missing) ({count})", steps=1) == {(): [[1700000000, "3"]]}
    without_host = matrix(world, f"sum without (host) ({count})", steps=1)
    assert without_host == {
        (("app", "a"), ("user", "u")): [[1700000000, "1"]],
        (("app", "a"),): [[1700000000, "2"]],
    }
    by_user = matrix(world, f"sum by (user) ({count})", steps=1)
    assert by_user == {(("user", "u"),): [[1700000000, "1"]], (): [[1700000000, "2"]]}
    assert matrix(world, f"sum by (app) (sum by (app, host) ({count}))", steps=1) == {
        (("app", "a"),): [[1700000000, "3"]]
    }


def test_vectors_are_matched_by_their_labels(world: World) -> None:
    world.push({"app": "a"}, [(T, "error"), (T, "fine")], level_hint="-")
    world.push({"app": "b"}, [(T, "fine")], level_hint="-")
    errors = 'sum by (app) (count_over_time({app=~".+"} |= "error" [1s]))'
    everything = 'sum by (app) (count_over_time({app=~".+"}[1s]))'
    assert matrix(world, f"{errors} / {everything}", steps=1) == {(("app", "a"),): [[1700000000, "0.5"]]}


def test_too_many_series_are_refused_in_lokis_words(world: World) -> None:
    world.limits = Limits(max_query_series=2)
    for n in range(3):
        world.push({"app": "a", "n": str(n)}, [(T, "x")])
    with pytest.raises(QueryRejected, match=r"maximum number of series \(2\) reached for a single query"):
        instant(world, 'count_over_time({app="a"}[1m])', T)


def test_too_many_steps_are_refused(world: World) -> None:
    with pytest.raises(BadRequest, match="exceeded maximum resolution of 11,000 points"):
        logs(world, "vector(1)", start_ns=T, end_ns=T + 20_000 * SECOND_NS, step_ns=SECOND_NS)


def test_labels_name_only_streams_that_have_entries_in_the_range(world: World) -> None:
    world.push({"app": "a", "old": "1"}, [(T, "x")])
    world.push({"app": "b", "new": "1"}, [(T + 1800 * SECOND_NS, "x")])
    late = {"start_ns": T + 1000 * SECOND_NS, "end_ns": NOW}
    names = ask(world, lambda service: service.labels(world.tenant, **late, query=None))
    assert names == b'{"status":"success","data":["app","new"]}\n'
    values = ask(world, lambda service: service.label_values(world.tenant, "app", **RANGE, query=None))
    assert values == b'{"status":"success","data":["a","b"]}\n'
    values = ask(world, lambda service: service.label_values(world.tenant, "app", **RANGE, query='{old="1"}'))
    assert values == b'{"status":"success","data":["a"]}\n'
    nothing = ask(world, lambda service: service.label_values(world.tenant, "nope", **RANGE, query=None))
    assert nothing == b'{"status":"success"}\n'


def test_series_of_several_selectors_come_once_each(world: World) -> None:
    world.push({"app": "a"}, [(T, "x")])
    world.push({"app": "b"}, [(T, "x")])
    both = ask(world, lambda service: service.series(world.tenant, ['{app="a"}', '{app=~"a|b"}'], **RANGE))
    assert both == b'{"status":"success","data":[{"app":"a"},{"app":"b"}]}\n'
    assert ask(world, lambda service: service.series(world.tenant, [], **RANGE)) == both
    assert ask(world, lambda service: service.series(world.tenant, ["{}"], **RANGE)) == both
    none = ask(world, lambda service: service.series(world.tenant, ['{app="c"}'], **RANGE))
    assert none == b'{"status":"success","data":[]}\n'
    with pytest.raises(BadRequest, match="only label matchers are supported"):
        ask(world, lambda service: service.series(world.tenant, ['{app="a"} |= "x"'], **RANGE))


def test_index_stats_count_streams_entries_and_bytes(world: World) -> None:
    world.push({"app": "a"}, [(T, "12345"), (T + 1, "é")])
    world.push({"app": "a", "b": "1"}, [(T, "1")])
    counted = ask(world, lambda service: service.index_stats(world.tenant, '{app="a"}', **RANGE))
    assert counted == b'{"streams":2,"chunks":2,"bytes":8,"entries":3}\n'
    nothing = ask(world, lambda service: service.index_stats(world.tenant, '{app="b"}', **RANGE))
    assert nothing == b'{"streams":0,"chunks":0,"bytes":0,"entries":0}\n'


def volumes(world: World, query: str, *, limit: int = 10, target: tuple[str, ...] = (), by: str = "series") -> Any:
    body = ask(
        world,
        lambda service: service.index_volume(
            world.tenant, query, **RANGE, limit=limit, target_labels=target, aggregate_by=by
        ),
    )
    found = data(body)
    assert found["resultType"] == "vector"
    return [(one["metric"], one["value"][1]) for one in found["result"]]


def test_volume_is_told_by_series_and_by_label(world: World) -> None:
    world.push({"app": "a"}, [(T, "12345")])
    world.push({"app": "b", "level": "error"}, [(T, "1234567890")])
    everything = [({"app": "b"}, "10"), ({"app": "a"}, "5")]
    assert volumes(world, '{app=~".+"}') == everything
    assert volumes(world, '{app=~".+"}', limit=1) == everything[:1]
    assert volumes(world, "{}") == [({"app": "b", "level": "error"}, "10"), ({"app": "a"}, "5")]
    assert volumes(world, '{app=~".+"}', target=("level",)) == [({"level": "error"}, "10")]
    assert volumes(world, '{app=~".+"}', by="labels") == [({"app": ""}, "15"), ({"level": ""}, "10")]
    assert volumes(world, '{app=~".+"}', target=("level",), by="labels") == [({"level": ""}, "10")]


def test_volume_can_be_switched_off(world: World) -> None:
    world.limits = Limits(volume_enabled=False)
    with pytest.raises(NotFound, match="volume is not enabled"):
        volumes(world, '{app="a"}')


def test_a_histogram_counts_by_level_and_bucket(world: World) -> None:
    world.push({"app": "a"}, [(T, "error: x"), (T + SECOND_NS, "plain"), (T + 5 * SECOND_NS, "error: y")])
    body = ask(
        world,
        lambda service: service.histogram(world.tenant, '{app="a"}', **RANGE, step_ns=4 * SECOND_NS),
    )
    assert orjson.loads(body) == {
        "step_ns": 4 * SECOND_NS,
        "levels": {"error": [[T, 1], [T + 4 * SECOND_NS, 1]], "unknown": [[T, 1]]},
    }


def test_a_histogram_of_a_metric_query_is_refused(world: World) -> None:
    with pytest.raises(BadRequest, match="only a log query has a histogram"):
        ask(world, lambda service: service.histogram(world.tenant, "1", **RANGE, step_ns=SECOND_NS))


def test_what_is_not_supported_is_refused_by_name(world: World) -> None:
    with pytest.raises(BadRequest, match=r"the stage `\| json` is not supported yet"):
        logs(world, '{app="a"} | json')


def test_a_closed_service_says_so(world: World) -> None:
    async def asked() -> None:
        service = world.service()
        await service.close()
        await service.close()
        with pytest.raises(StoreUnavailable):
            await service.labels(world.tenant, **RANGE, query=None)

    asyncio.run(asked())


def test_entries_of_the_whole_of_time_can_be_asked_for(world: World) -> None:
    world.limits = Limits(max_query_length_ns=0)
    world.push({"app": "a"}, [(1, "very old"), (T, "new")])
    body = logs(world, '{app="a"}', start_ns=0, end_ns=2**63 - 1)
    assert entries(body) == [(1, "very old"), (T, "new")]
