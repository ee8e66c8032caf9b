"""The same requests to Sillok and to the real Loki, with the same lines in both: the same answers.

The requests are those of Grafana's Loki data source and of logcli, as they send them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.e2e.api import SECOND_NS, Api
from tests.e2e.system import real_sillok
from tests.peers import real_loki

START_NS = (time.time_ns() // SECOND_NS - 1800) * SECOND_NS
END_NS = START_NS + 600 * SECOND_NS
JOB = f"same-{START_NS}"

CORPUS: list[tuple[dict[str, str], list[list[Any]]]] = [
    (
        {"job": JOB, "service": "api-server", "host": "backend-instance", "level": "info"},
        [[str(START_NS + n * SECOND_NS), f"Ticketing opened for user_id_{n}"] for n in range(40)],
    ),
    (
        {"job": JOB, "service": "ticket-server", "host": "backend-instance", "level": "error"},
        [[str(START_NS + n * SECOND_NS + 7), f'payment failed\tfor "user_id_{n}" \\ 실록 <&>'] for n in range(20)],
    ),
    (
        {"job": JOB, "app": "queue"},
        [[str(START_NS + n * SECOND_NS + 9), f"level=warn queue={n}", {"trace_id": f"t{n}"}] for n in range(20)],
    ),
    (
        {"job": JOB, "app": "quiet"},
        [[str(START_NS + n * SECOND_NS + 11), text] for n, text in enumerate(["", " ", "{}", "ERROR: x", "plain"])],
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    name: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"


RANGE = {"start": START_NS, "end": END_NS}
SELECTOR = f'{{job="{JOB}"}}'
GRAFANA = {"X-Loki-Response-Encoding-Flags": "categorize-labels", "X-Query-Tags": "Source=grafana"}

CASES = [
    Case("health check of the data source", "/loki/api/v1/query", {"query": "vector(1)+vector(1)", "time": END_NS}),
    Case("labels", "/loki/api/v1/labels", RANGE),
    Case("labels of a selector", "/loki/api/v1/labels", {**RANGE, "query": SELECTOR}),
    Case("labels, old path", "/loki/api/v1/label", RANGE),
    Case("values", "/loki/api/v1/label/service/values", RANGE),
    Case("values of a selector", "/loki/api/v1/label/app/values", {**RANGE, "query": f'{{job="{JOB}", app=~"q.+"}}'}),
    Case("values of a label that is not there", "/loki/api/v1/label/nope/values", RANGE),
    Case("series", "/loki/api/v1/series", {**RANGE, "match[]": SELECTOR}),
    Case("series, posted", "/loki/api/v1/series", {**RANGE, "match[]": SELECTOR}, method="POST"),
    Case(
        "series of two matchers",
        "/loki/api/v1/series",
        {**RANGE, "match[]": ['{app="queue"}', f'{{job="{JOB}", host="backend-instance"}}']},
    ),
    Case("newest first", "/loki/api/v1/query_range", {**RANGE, "query": SELECTOR, "limit": 30}),
    Case("oldest first", "/loki/api/v1/query_range", {**RANGE, "query": SELECTOR, "limit": 30, "direction": "forward"}),
    Case("everything", "/loki/api/v1/query_range", {**RANGE, "query": SELECTOR, "limit": 1000}),
    Case("posted", "/loki/api/v1/query_range", {**RANGE, "query": SELECTOR, "limit": 1000}, method="POST"),
    Case(
        "as Grafana's Explore asks",
        "/loki/api/v1/query_range",
        {**RANGE, "query": SELECTOR, "limit": 1000, "direction": "backward", "step": "2000ms"},
        GRAFANA,
    ),
    Case(
        "line filters",
        "/loki/api/v1/query_range",
        {**RANGE, "query": f'{SELECTOR} |= "user_id_1" != "user_id_12" |~ "pay.ent|opened"', "limit": 1000},
        GRAFANA,
    ),
    Case("the default limit and times", "/loki/api/v1/query_range", {"query": SELECTOR}),
    Case("since", "/loki/api/v1/query_range", {"query": SELECTOR, "since": "2h"}),
    Case(
        "times as seconds",
        "/loki/api/v1/query_range",
        {"query": SELECTOR, "start": START_NS // SECOND_NS, "end": f"{END_NS / SECOND_NS:.3f}"},
    ),
    Case(
        "times as RFC 3339",
        "/loki/api/v1/query_range",
        {
            "query": SELECTOR,
            "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START_NS // SECOND_NS)),
            "end": time.strftime("%Y-%m-%dT%H:%M:%S.5Z", time.gmtime(END_NS // SECOND_NS)),
        },
    ),
    Case("an end is excluded", "/loki/api/v1/query_range", {"query": SELECTOR, "start": START_NS, "end": START_NS + 7}),
    Case("nothing", "/loki/api/v1/query_range", {**RANGE, "query": '{job="nobody"}'}),
    Case("volume", "/loki/api/v1/index/volume", {**RANGE, "query": SELECTOR, "targetLabels": "service"}),
    Case("no matcher that selects", "/loki/api/v1/query_range", {**RANGE, "query": '{job=~".*"}'}),
    Case("an empty selector", "/loki/api/v1/query_range", {**RANGE, "query": "{}"}),
    Case("a brace too few", "/loki/api/v1/query_range", {**RANGE, "query": '{job="x"'}),
    Case("a word for a query", "/loki/api/v1/query_range", {**RANGE, "query": "error"}),
    Case("a broken regular expression", "/loki/api/v1/query_range", {**RANGE, "query": '{job=~"("}'}),
    Case("a broken filter expression", "/loki/api/v1/query_range", {**RANGE, "query": '{job="x"} |~ "("'}),
    Case("no query", "/loki/api/v1/query_range", RANGE),
    Case("the end before the start", "/loki/api/v1/query_range", {"query": SELECTOR, "start": END_NS, "end": START_NS}),
    Case("a start that is no time", "/loki/api/v1/query_range", {"query": SELECTOR, "start": "yesterday"}),
    Case("a limit that is no number", "/loki/api/v1/query_range", {**RANGE, "query": SELECTOR, "limit": "many"}),
    Case("a limit of zero", "/loki/api/v1/query_range", {**RANGE, "query": SELECTOR, "limit": 0}),
    Case("a limit over the limit", "/loki/api/v1/query_range", {**RANGE, "query": SELECTOR, "limit": 5001}),
    Case("a direction that is none", "/loki/api/v1/query_range", {**RANGE, "query": SELECTOR, "direction": "up"}),
    Case("lines at an instant", "/loki/api/v1/query", {"query": SELECTOR, "time": END_NS, "limit": 5}),
]  # fmt: skip

# Statuses and shapes are Loki's; these texts are our own, and say more.
OWN_WORDS = {
    "a broken regular expression",
    "a broken filter expression",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Api]]:
    """Two fresh servers: the real Loki lists the labels of everything it has in memory, whatever the range."""
    with real_sillok(tmp_path_factory.mktemp("sillok")) as ours, real_loki(tmp_path_factory.mktemp("loki")) as lokis:
        yield from _filled([Api(ours), Api(lokis)])


def _filled(apis: list[Api]) -> Iterator[list[Api]]:
    for api in apis:
        streams = [{"stream": labels, "values": values} for labels, values in CORPUS]
        answer = api.http.post("/loki/api/v1/push", json={"streams": streams})
        assert answer.status_code == 204, answer.text
    yield apis
    for api in apis:
        api.http.close()


def _ask(api: Api, case: Case) -> httpx.Response:
    if case.method == "POST":
        return api.http.post(case.path, data=case.params, headers=case.headers)
    return api.http.get(case.path, params=case.params, headers=case.headers)


def _in_order(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _blank_sizes(series: list[dict[str, Any]]) -> None:
    """Loki's sizes are those of its chunks in memory, with what it adds to lines; ours are those of the lines."""
    for one in series:
        assert int(one["value"][1]) > 0
        one["value"][1] = "some"


def _said(answer: httpx.Response, case: Case) -> Any:
    """Status and body without what must differ: the statistics of the run, and the order of streams."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind != "application/json":
        return answer.status_code, kind, answer.text.strip()
    body = answer.json()
    data = body.get("data")
    if isinstance(data, dict) and data.get("resultType") in ("streams", "vector"):
        assert "stats" in data
        data.pop("stats")
        if case.path.endswith("/volume"):
            _blank_sizes(data["result"])
        data["result"].sort(key=_in_order)
    elif isinstance(data, list):
        data.sort(key=_in_order)
    return answer.status_code, kind, body


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_is_lokis(both: list[Api], case: Case) -> None:
    ours, lokis = (_said(_ask(api, case), case) for api in both)

    if case.name in OWN_WORDS:
        ours, lokis = ours[:2], lokis[:2]
    assert lokis == ours


NOW = str(time.time_ns())
PUSHES = {
    "labels without a value": {"streams": [{"stream": {}, "values": [[NOW, "x"]]}]},
    "a label name with a dash": {"streams": [{"stream": {"a-b": "c"}, "values": [[NOW, "x"]]}]},
    "a label name that is too long": {"streams": [{"stream": {"a" * 1025: "c"}, "values": [[NOW, "x"]]}]},
    "a label value that is too long": {"streams": [{"stream": {"a": "c" * 2049}, "values": [[NOW, "x"]]}]},
    "too many labels": {"streams": [{"stream": {f"a{n:02d}": "c" for n in range(20)}, "values": [[NOW, "x"]]}]},
    "a line that is too long": {"streams": [{"stream": {"job": "long"}, "values": [[NOW, "x" * (256 * 1024 + 1)]]}]},
    "a line from the future": {"streams": [{"stream": {"job": "future"}, "values": [["2" + NOW[1:], "x"]]}]},
    "no streams": {"streams": []},
    "no values": {"streams": [{"stream": {"job": "empty"}, "values": []}]},
    "a time that is no number": {"streams": [{"stream": {"job": "x"}, "values": [["noon", "x"]]}]},
    "a time as a number": {"streams": [{"stream": {"job": "x"}, "values": [[int(NOW), "x"]]}]},
    "a line that is no text": {"streams": [{"stream": {"job": "x"}, "values": [[NOW, 5]]}]},
    "a value without a line": {"streams": [{"stream": {"job": "x"}, "values": [[NOW]]}]},
    "metadata that is no object": {"streams": [{"stream": {"job": "x"}, "values": [[NOW, "x", "y"]]}]},
    "no object": [],
}


@pytest.mark.parametrize("name", PUSHES)
def test_an_odd_push_gets_lokis_status(both: list[Api], name: str) -> None:
    ours, lokis = (api.http.post("/loki/api/v1/push", json=PUSHES[name]) for api in both)

    assert lokis.status_code == ours.status_code, (lokis.text, ours.text)


def test_the_build_says_it_is_a_loki(both: list[Api]) -> None:
    ours, lokis = (api.get("/loki/api/v1/status/buildinfo") for api in both)

    assert set(lokis) <= set(ours)
