"""The same lines in the real Loki and in our store, the same questions, the same answers."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sillok.errors import SillokError
from sillok.model.limits import Limits
from sillok.query.service import QueryService
from tests.logql import golden_file
from tests.peers import real_loki
from tests.query.conftest import SECOND_NS, Entry, World, data

STEPS = (7, 30, 90)
SPAN = 630  # seconds; a whole number of each step


def _start() -> int:
    """A recent time from which Loki answers in one piece: on a multiple of all steps (it rounds the start down and
    the end up when it may split a query) and with no hour between start and end (there it splits)."""
    now = time.time_ns() // SECOND_NS // SPAN
    return next(n * SPAN for n in range(now - 2, 0, -1) if n * SPAN // 3600 == (n + 1) * SPAN // 3600) * SECOND_NS


START = _start()
END = START + SPAN * SECOND_NS
RANGE = {"start": START, "end": END}

# Loki finds the level of these lines itself; the store is told what Loki's distributor would have found.
CORPUS: list[tuple[dict[str, str], str, list[Entry]]] = [
    (
        {"app": "api", "host": "one", "service_name": "api"},
        "error",
        [(START + n * SECOND_NS, f"level=error request {n} <&> failed", {"trace": f"t{n % 3}"}) for n in range(40)],
    ),
    (
        {"app": "api", "host": "two", "service_name": "api"},
        "unknown",
        [(START + n * SECOND_NS + 5, f'tab\there "{n}" é \u2028') for n in range(30)],
    ),
    (
        {"app": "queue", "service_name": "queue"},
        "info",
        [(START + n * 7 * SECOND_NS + 9, f"level=info queue={n}", {"app": "of metadata"}) for n in range(60)],
    ),
    (
        {"app": "same", "service_name": "same"},
        "unknown",
        [(START + 100 * SECOND_NS, text) for text in ("third", "first", "second", "", " ")],
    ),
]


class Loki:
    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> tuple[int, bytes]:
        address = f"{self._url}/loki/api/v1/{path}?{urllib.parse.urlencode(params, doseq=True)}"
        request = urllib.request.Request(address, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def push(self, streams: list[dict[str, Any]]) -> None:
        body = json.dumps({"streams": streams}).encode()
        request = urllib.request.Request(f"{self._url}/loki/api/v1/push", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 204


@pytest.fixture(scope="module")
def loki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loki]:
    with real_loki(tmp_path_factory.mktemp("loki")) as url:
        peer = Loki(url)
        peer.push(
            [
                {"stream": labels, "values": [[str(entry[0]), *entry[1:]] for entry in entries]}
                for labels, _, entries in CORPUS
            ]
        )
        yield peer


@pytest.fixture
def same(world: World) -> World:
    world.limits = Limits(max_query_length_ns=0)
    for labels, level, entries in CORPUS:
        world.push(labels, entries, level_hint=level)
    return world


def ours(world: World, path: str, *, categorize: bool = False, **params: Any) -> bytes:
    async def asked() -> bytes:
        service = world.service()
        try:
            return await _call(service, world.tenant, path, params, categorize=categorize)
        finally:
            await service.close()

    return asyncio.run(asked())


async def _call(service: QueryService, tenant: str, path: str, params: dict[str, Any], *, categorize: bool) -> bytes:
    times = {"start_ns": params.get("start", 0), "end_ns": params.get("end", 0)}
    match path.split("/"):
        case ["query_range"]:
            return await service.query_range(
                tenant,
                params["query"],
                **times,
                limit=params.get("limit", 100),
                newest_first=params.get("direction", "backward") == "backward",
                step_ns=params["step"] * SECOND_NS if "step" in params else None,
                interval_ns=params["interval"] * SECOND_NS if "interval" in params else None,
                categorize=categorize,
            )
        case ["query"]:
            return await service.query(
                tenant, params["query"], time_ns=params["time"], limit=100, newest_first=True, categorize=categorize
            )
        case ["labels"]:
            return await service.labels(tenant, **times, query=params.get("query"))
        case ["label", name, "values"]:
            return await service.label_values(tenant, name, **times, query=params.get("query"))
        case ["series"]:
            return await service.series(tenant, params.get("match[]", []), **times)
        case ["index", "volume"]:
            targets = [name for name in params.get("targetLabels", "").split(",") if name]
            return await service.index_volume(
                tenant,
                params["query"],
                **times,
                limit=params.get("limit", 100),
                target_labels=targets,
                aggregate_by=params.get("aggregateBy", "series"),
            )
    raise AssertionError(path)


LOG_QUERIES = [
    {"query": '{app="api"}'},
    {"query": '{app="api"}', "direction": "forward"},
    {"query": '{app=~".+"}', "limit": 1000},
    {"query": '{app=~".+"}', "limit": 17},
    {"query": '{app=~".+"}', "limit": 17, "direction": "forward"},
    {"query": '{app="same"}'},
    {"query": '{app="same"}', "direction": "forward"},
    {"query": '{app="api", host!="one"}'},
    {"query": '{app=~"a.*|q.*"} |= "1" != "2"', "limit": 1000},
    {"query": '{app=~".+"} |~ "(?i)LEVEL=(error|info)" !~ "1.*f"', "limit": 1000},
    {"query": '{app=~".+"} |= "queue" or "second"', "limit": 1000},
    {"query": '{app=~".+"} != "queue" or "request"', "limit": 1000},
    {"query": '{app="nothing"}'},
    {"query": '{app="queue"}', "interval": 30},
]


@pytest.mark.parametrize("params", LOG_QUERIES, ids=lambda params: " ".join(str(v) for v in params.values()))
@pytest.mark.parametrize("categorize", [False, True], ids=["merged", "categorized"])
def test_log_queries_are_answered_to_the_byte(
    loki: Loki, same: World, params: dict[str, Any], categorize: bool
) -> None:
    headers = {"X-Loki-Response-Encoding-Flags": "categorize-labels"} if categorize else {}
    status, theirs = loki.ask("query_range", headers, **RANGE, **params)
    assert status == 200
    mine = ours(same, "query_range", categorize=categorize, **RANGE, **params)
    assert mine.partition(b',"stats":')[0] == theirs.partition(b',"stats":')[0]


def test_the_statistics_have_lokis_keys(loki: Loki, same: World) -> None:
    _, theirs = loki.ask("query_range", **RANGE, query='{app="api"}')
    mine = ours(same, "query_range", **RANGE, query='{app="api"}')

    def keys(value: Any) -> Any:
        return {key: keys(inner) for key, inner in value.items()} if isinstance(value, dict) else None

    expected = keys(json.loads(theirs)["data"]["stats"])
    expected["ingester"].pop("recvWaitTime", None)
    assert keys(json.loads(mine)["data"]["stats"]) == expected


METRIC_QUERIES = [
    'count_over_time({app="api"}[30s])',
    'sum(count_over_time({app=~".+"}[1m]))',
    'sum by (level, detected_level) (count_over_time({app=~".+"}[30s]))',
    'sum by (app) (rate({app=~".+"} |= "level" [45s]))',
    'sum without (trace, detected_level) (bytes_over_time({app=~".+"}[1m]))',
    'sum by (app_extracted) (bytes_rate({app=~".+"}[1m]))',
    'sum by (app) (count_over_time({app=~".+"}[1m])) / sum by (app) (count_over_time({app=~".+"}[2m]))',
    'sum(rate({app=~".+"}[1m])) > 0.4',
    'sum(rate({app=~".+"}[1m])) > bool 0.4',
    'sum by (host) (count_over_time({app=~".+"}[10s] offset 20s)) * 2 - 1',
    'count_over_time({app="nothing"}[1m])',
    "vector(1)+vector(1)",
    "1 + 1",
]


@pytest.mark.parametrize("query", METRIC_QUERIES)
@pytest.mark.parametrize("step", STEPS)
def test_range_metric_queries_are_answered_alike(loki: Loki, same: World, query: str, step: int) -> None:
    status, theirs = loki.ask("query_range", **RANGE, query=query, step=step)
    assert status == 200
    assert _series(ours(same, "query_range", **RANGE, query=query, step=step)) == _series(theirs)


@pytest.mark.parametrize("query", METRIC_QUERIES)
def test_instant_metric_queries_are_answered_alike(loki: Loki, same: World, query: str) -> None:
    at = START + 120 * SECOND_NS
    status, theirs = loki.ask("query", query=query, time=at)
    assert status == 200
    assert _series(ours(same, "query", query=query, time=at)) == _series(theirs)


def _series(body: bytes) -> Any:
    """The result with sums of floats rounded: Loki adds up rates, we rate the sum."""
    found = data(body)
    if found["resultType"] == "scalar":
        return found
    rounded = []
    for one in found["result"]:
        points = one.get("values") or [one["value"]]
        rounded.append((sorted(one["metric"].items()), [(at, f"{float(value):.9g}") for at, value in points]))
    return found["resultType"], sorted(rounded)


LISTS: list[tuple[str, dict[str, Any]]] = [
    ("labels", {}),
    ("labels", {"query": '{app="queue"}'}),
    ("label/app/values", {}),
    ("label/host/values", {"query": '{app="queue"}'}),
    ("label/service_name/values", {}),
]


@pytest.mark.parametrize(("path", "params"), LISTS)
def test_labels_are_answered_to_the_byte(loki: Loki, same: World, path: str, params: dict[str, Any]) -> None:
    status, theirs = loki.ask(path, **RANGE, **params)
    assert status == 200
    assert ours(same, path, **RANGE, **params) == theirs


@pytest.mark.parametrize("matchers", [[], ["{}"], ['{app="api"}'], ['{app="api"}', '{host="one"}'], ['{app="no"}']])
def test_series_are_answered_alike(loki: Loki, same: World, matchers: list[str]) -> None:
    """In any order: Loki's changes from one answer to the next."""
    status, theirs = loki.ask("series", **RANGE, **{"match[]": matchers})
    assert status == 200
    mine = ours(same, "series", **RANGE, **{"match[]": matchers})
    key = json.dumps
    assert sorted(map(_sorted, data(mine)), key=key) == sorted(map(_sorted, data(theirs)), key=key)


def _sorted(labels: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(labels.items())


VOLUMES: list[dict[str, Any]] = [
    {"query": '{app=~".+"}'},
    {"query": "{}"},
    {"query": '{app=~".+", host=~".*"}'},
    {"query": '{app=~".+"}', "targetLabels": "host"},
    {"query": '{app=~".+"}', "targetLabels": "host,app"},
    {"query": '{app=~".+"}', "aggregateBy": "labels"},
    {"query": '{app=~".+"}', "aggregateBy": "labels", "targetLabels": "host"},
    {"query": '{app="no"}'},
]


@pytest.mark.parametrize("params", VOLUMES)
def test_volumes_are_told_for_the_same_series(loki: Loki, same: World, params: dict[str, Any]) -> None:
    """Not of the same size: Loki counts metadata too."""
    status, theirs = loki.ask("index/volume", **RANGE, **params)
    assert status == 200
    mine = ours(same, "index/volume", **RANGE, **params)

    def named(body: bytes) -> Any:
        return data(body)["resultType"], sorted(_sorted(one["metric"]) for one in data(body)["result"])

    assert named(mine) == named(theirs)


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("query_range", {"query": '{app="a"}', "limit": 6000}),
    ("query", {"query": '{app="a"}', "time": START}),
    ("series", {"match[]": ['{app="a"} |= "x"']}),
    ("series", {"match[]": ['{app=~".*"}']}),
    ("labels", {"query": '{app="a"} |= "x"'}),
    ("labels", {"query": "{"}),
    ("index/volume", {"query": 'rate({a="b"}[1m])'}),
    ("index/volume", {"query": '{app=~".*"}'}),
]


@pytest.mark.parametrize(("path", "params"), WRONG)
def test_what_is_wrong_is_refused_in_the_same_words(loki: Loki, same: World, path: str, params: dict[str, Any]) -> None:
    status, theirs = loki.ask(path, **RANGE, **params)
    assert status == 400
    with pytest.raises(SillokError) as refused:
        ours(same, path, **RANGE, **params)
    assert str(refused.value) == theirs.decode().strip()


def test_wrong_queries_are_refused_in_the_same_words(loki: Loki) -> None:
    """All that `errors.txt` records."""
    differing = []
    for case in golden_file.read("errors"):
        status, body = loki.ask("query_range", **RANGE, query=case.query)
        if (status, body.decode().strip()) != (400, case.expected["error"].strip()):
            differing.append((case.query, case.expected["error"], body.decode()))
    assert differing == []


# NaN is a result that Loki fails to write down, and tries again and again.
WITHOUT_AN_ANSWER = {"1 / 0", "5 % 0"}


def test_queries_that_are_read_are_read_by_loki_too(loki: Loki) -> None:
    """All that `queries.txt` records, as they were written and as they are printed."""
    for case in golden_file.read("queries"):
        if case.query not in WITHOUT_AN_ANSWER:
            for query in (case.query, case.expected["printed"]):
                status, body = loki.ask("query_range", **RANGE, query=query)
                assert status == 200, (query, body)
