"""logcli, unchanged: query, labels, series, stats, volume, live tail."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.api import SECOND_NS, Api
from tests.peers import program
from tests.processes import Process


class Logcli:
    def __init__(self, url: str) -> None:
        self.command = [program("logcli"), "--quiet", f"--addr={url}"]

    def __call__(self, *arguments: str) -> str:
        """What it prints; fails when it fails."""
        done = subprocess.run(
            [*self.command, *arguments], text=True, capture_output=True, timeout=60, check=False, env={"TZ": "UTC"}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def logcli(server: str) -> Logcli:
    return Logcli(server)


@pytest.fixture
def start_ns() -> int:
    """Ten minutes ago, on a full second."""
    return (time.time_ns() // SECOND_NS - 600) * SECOND_NS


def numbered(start_ns: int, count: int) -> list[tuple[int, str]]:
    return [(start_ns + number * 1_000_000, f"line {number:05d} of the corpus") for number in range(count)]


def test_a_query_gives_the_lines_in_the_order_asked_for(logcli: Logcli, api: Api, job: str, start_ns: int) -> None:
    api.must_push({"job": job, "host": "a"}, numbered(start_ns, 50))
    expected = [line for _, line in numbered(start_ns, 50)]

    newest_first = logcli("query", f'{{job="{job}"}}', "--since=1h", "--limit=100", "--output=raw")
    oldest_first = logcli("query", f'{{job="{job}"}}', "--since=1h", "--limit=100", "--output=raw", "--forward")
    newest_ten = logcli("query", f'{{job="{job}"}}', "--since=1h", "--limit=10", "--output=raw")

    assert expected[::-1] == newest_first.splitlines()
    assert expected == oldest_first.splitlines()
    assert expected[::-1][:10] == newest_ten.splitlines()


@pytest.mark.parametrize("direction", [[], ["--forward"]])
def test_a_query_over_many_pages_gives_every_line_once(
    logcli: Logcli, api: Api, job: str, start_ns: int, direction: list[str]
) -> None:
    for first in range(0, 12_000, 3_000):
        api.must_push({"job": job}, numbered(start_ns, 12_000)[first : first + 3_000])

    found = logcli(
        "query", f'{{job="{job}"}}', "--since=1h", "--limit=20000", "--batch=1000", "--output=raw", *direction
    )

    assert [line for _, line in numbered(start_ns, 12_000)] == sorted(found.splitlines())


def test_jsonl_output_has_line_labels_and_time(logcli: Logcli, api: Api, job: str, start_ns: int) -> None:
    line = 'one\ttab \\ slash "quotes" 실록 ☃'
    api.must_push({"job": job, "host": "a"}, [(start_ns + 123_456_789, line)])
    api.must_push({"job": job, "host": "b"}, [(start_ns, "another")])

    printed = logcli("query", f'{{job="{job}"}}', "--since=1h", "--output=jsonl", "--timezone=UTC")
    found = [json.loads(one) for one in printed.splitlines()]

    assert [line, "another"] == [one["line"] for one in found]
    # logcli leaves out the labels that all lines share.
    assert [one["labels"]["host"] for one in found] == ["a", "b"]
    assert found[0]["timestamp"].endswith(".123456789Z")


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ('|= "error"', {"an error: disk", "ERROR and error"}),
        ('!= "error"', {"all well", "Error: nothing"}),
        ('|~ "(?i)error"', {"an error: disk", "ERROR and error", "Error: nothing"}),
        ('!~ "(?i)error"', {"all well"}),
        ('|= "error" != "disk"', {"ERROR and error"}),
        ('|= "well" or "nothing"', {"all well", "Error: nothing"}),
    ],
)
def test_line_filters_keep_what_they_say(
    logcli: Logcli, api: Api, job: str, start_ns: int, filter_: str, expected: set[str]
) -> None:
    lines = ["an error: disk", "all well", "Error: nothing", "ERROR and error"]
    api.must_push({"job": job}, [(start_ns + number, line) for number, line in enumerate(lines)])

    found = logcli("query", f'{{job="{job}"}} {filter_}', "--since=1h", "--output=raw")

    assert expected == set(found.splitlines())


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ('host="a"', {"from a"}),
        ('host!="a"', {"from b", "from c1", "from nobody"}),
        ('host=~"a|b"', {"from a", "from b"}),
        ('host=~"c.*"', {"from c1"}),
        ('host=~"c"', set()),
        ('host!~"a|b"', {"from c1", "from nobody"}),
        ('host=""', {"from nobody"}),
        ('host!=""', {"from a", "from b", "from c1"}),
    ],
)
def test_matchers_select_streams(
    logcli: Logcli, api: Api, job: str, start_ns: int, matcher: str, expected: set[str]
) -> None:
    for host in ("a", "b", "c1"):
        api.must_push({"job": job, "host": host}, [(start_ns, f"from {host}")])
    api.must_push({"job": job}, [(start_ns, "from nobody")])

    found = logcli("query", f'{{job="{job}", {matcher}}}', "--since=1h", "--output=raw")

    assert expected == set(found.splitlines())


def test_labels_and_their_values_are_listed(logcli: Logcli, api: Api, job: str, start_ns: int) -> None:
    api.must_push({"job": job, "zone": f"zone-of-{job}"}, [(start_ns, "x")])

    names = logcli("labels", "--since=1h").split()
    values = logcli("labels", "zone", "--since=1h").split()

    assert {"job", "zone"} <= set(names)
    assert f"zone-of-{job}" in values


def test_series_are_listed_and_counted(logcli: Logcli, api: Api, job: str, start_ns: int) -> None:
    for host in ("a", "b"):
        api.must_push({"job": job, "host": host}, [(start_ns, "x")])

    series = logcli("series", f'{{job="{job}"}}', "--since=1h").splitlines()
    cardinality = logcli("series", f'{{job="{job}"}}', "--since=1h", "--analyze-labels")

    assert len(series) == 2
    assert all(f'job="{job}"' in one for one in series)
    assert "Total Streams:  2" in cardinality


def test_stats_count_streams_lines_and_bytes(logcli: Logcli, api: Api, job: str, start_ns: int) -> None:
    api.must_push({"job": job, "host": "a"}, numbered(start_ns, 20))
    api.http.post("/flush")  # Loki counts only what it has flushed; Sillok needs no flush

    found = logcli("stats", f'{{job="{job}"}}', "--since=1h")
    counted = dict(re.findall(r"(\w+): (\S+)", found))

    assert counted["streams"] == "1"
    assert counted["entries"] == "20"


def test_volume_names_the_stream_and_its_bytes(logcli: Logcli, api: Api, job: str, start_ns: int) -> None:
    api.must_push({"job": job, "host": "a"}, [(start_ns, "x" * 1000)])
    api.must_push({"job": job, "host": "b"}, [(start_ns, "x" * 10)])

    found = json.loads(logcli("volume", f'{{job="{job}"}}', "--since=1h", "--targetLabels=host"))

    sizes = {one["metric"]["host"]: int(one["value"][1]) for one in found}
    assert {"a", "b"} == set(sizes)
    assert 1000 <= sizes["a"] < 1100
    assert 10 <= sizes["b"] < 110


def test_tail_shows_lines_as_they_come(logcli: Logcli, api: Api, job: str, tmp_path: Path) -> None:
    """T-11."""
    api.must_push({"job": job, "host": "a"}, [(time.time_ns(), "before")])
    command = [*logcli.command, "query", f'{{job="{job}"}} |= "fine"', "--tail", "--output=raw"]
    with Process(command, log=tmp_path / "tail") as tail:
        _until_seen(tail, api, job, "fine: is anybody there?")
        for number in range(100):
            api.must_push({"job": job, "host": f"h{number % 3}"}, [(time.time_ns(), f"fine {number:03d}")])
            api.must_push({"job": job, "host": f"h{number % 3}"}, [(time.time_ns(), f"noise {number:03d}")])
        tail.wait_for(lambda: "fine 099" in tail.output(), timeout_s=20, what="the last line")
        seen = tail.output().splitlines()

    assert [f"fine {number:03d}" for number in range(100)] == sorted(line for line in seen if line[5:].isdigit())
    assert not [line for line in seen if "noise" in line]


def _until_seen(tail: Process, api: Api, job: str, line: str) -> None:
    """Push `line` until the tail shows it: from then on it misses nothing."""

    def push_and_look() -> bool:
        api.must_push({"job": job, "host": "a"}, [(time.time_ns(), line)])
        time.sleep(0.3)
        return line in tail.output()

    tail.wait_for(push_and_look, timeout_s=20, what="the tail to begin")


def test_the_health_check_of_an_instant_query_answers(logcli: Logcli) -> None:
    found = json.loads(logcli("instant-query", "vector(1)+vector(1)"))

    assert found[0]["value"][1] == "2"
