"""`query`, `labels`, `series`, `push` against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.system import SILLOK, Server, sillok
from tests.processes import Process, free_port


def run(server: Server, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SILLOK_URL": server.url}
    return sillok(*arguments, env=env, **({"input": stdin} if stdin is not None else {}))


def push(server: Server, service: str, *lines: str) -> None:
    done = run(server, "push", "--label", f"service={service}", stdin="".join(f"{line}\n" for line in lines))
    assert done.returncode == 0, done.stderr


def test_what_is_pushed_can_be_asked_for(server: Server) -> None:
    push(server, "ask", "all is well", "an error came", "all is well again")
    done = run(server, "query", '{service="ask"} |= "error"', "--since", "1h", "--output", "raw")
    assert (done.returncode, done.stdout) == (0, "an error came\n")


def test_lines_come_newest_first_or_oldest_first(server: Server) -> None:
    push(server, "order", "one", "two", "three")
    newest = run(server, "query", '{service="order"}', "-o", "raw").stdout.split()
    assert newest == ["three", "two", "one"]
    assert run(server, "query", '{service="order"}', "-o", "raw", "--forward").stdout.split() == newest[::-1]


def test_more_lines_than_the_server_gives_at_once(server: Server) -> None:
    lines = [f"line {n}" for n in range(12_000)]
    push(server, "many", *lines)
    done = run(server, "query", '{service="many"}', "--limit", "0", "--forward", "-o", "raw")
    assert done.stdout.splitlines() == lines
    done = run(server, "query", '{service="many"}', "--limit", "7000", "-o", "raw", "--batch", "999")
    assert done.stdout.splitlines() == lines[:4999:-1]
    assert "7,000 lines shown, there may be more" in done.stderr


def test_jsonl_is_for_programs(server: Server) -> None:
    push(server, "json", "x")
    done = run(server, "query", '{service="json"}', "-o", "jsonl", "--quiet")
    record = json.loads(done.stdout)
    assert record["line"] == "x"
    assert record["labels"]["service"] == "json"
    assert done.stderr == ""


def test_a_metric_query_gives_numbers(server: Server) -> None:
    push(server, "count", "a", "b", "c")
    done = run(server, "query", 'sum(count_over_time({service="count"}[1h]))', "--instant", "-o", "raw")
    assert (done.stdout.strip(), done.returncode) == ("3", 0), done.stderr
    assert run(server, "query", "vector(1)+vector(1)", "--instant", "-o", "raw").stdout.strip() == "2"


def test_no_lines_is_said_and_no_failure(server: Server) -> None:
    done = run(server, "query", '{service="nobody"}')
    assert (done.returncode, done.stdout) == (0, "")
    assert "no lines in the last 1h" in done.stderr


def test_labels_values_and_series(server: Server) -> None:
    push(server, "labels", "x")
    assert "service" in run(server, "labels").stdout.split()
    assert "labels" in run(server, "labels", "service").stdout.split()
    assert run(server, "labels", "service", "--match", '{service="labels"}').stdout.split() == ["labels"]
    assert 'service="labels"' in run(server, "series", '{service="labels"}').stdout
    shown = json.loads(run(server, "series", '{service="labels"}', "-o", "jsonl").stdout)
    assert shown["service"] == "labels"


def test_a_mistake_in_a_query_is_told_in_the_servers_words(server: Server) -> None:
    done = run(server, "query", '{service="x"')
    assert done.returncode == 1
    assert "answered 400" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_named(server: Server) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = sillok("query", "{}", "--addr", url)
    assert done.returncode == 1
    assert url in done.stderr
    assert "sillok up" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_failure(server: Server) -> None:
    push(server, "pipe", *[f"line {n}" for n in range(5000)])
    query = f"{SILLOK} query '{{service=\"pipe\"}}' --limit 0 -o raw -q --addr {server.url}"
    script = f"{query} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=True)
    assert done.stdout.splitlines() == ["line 4999", "0"]
    assert done.stderr == ""


def test_a_tail_follows_until_ctrl_c(server: Server, tmp_path: Path) -> None:
    push(server, "tail", "before")
    command = [SILLOK, "query", '{service="tail"}', "--tail", "-o", "raw", "--since", "1h", "--addr", server.url]
    with Process(command, log=tmp_path / "tail.log") as tail:
        tail.wait_for(lambda: "before" in tail.output(), timeout_s=10, what="the line from before")
        push(server, "tail", "live one", "live two")
        tail.wait_for(lambda: "live two" in tail.output(), timeout_s=10, what="the live lines")
        tail.stop(by=signal.SIGINT)
        assert tail.returncode == 130
        assert tail.output().splitlines() == ["before", "live one", "live two"]


def test_a_tail_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    """T-03, T-11."""
    server = Server(tmp_path / "data")
    try:
        server.wait_ready()
        url = ("--addr", server.url)
        command = [SILLOK, "query", '{job="stdin"}', "--tail", "-o", "raw", "--since", "1h", *url]
        with Process(command, log=tmp_path / "tail.log") as tail:
            sillok("push", *url, input="before\n")
            tail.wait_for(lambda: "before" in tail.output(), timeout_s=10, what="the first line")
            server.stop()
            tail.wait_for(lambda: "trying again" in tail.output(), timeout_s=10, what="the note")
            server = Server(tmp_path / "data", port=server.port)
            server.wait_ready()
            sillok("push", *url, input="after\n")
            tail.wait_for(lambda: "after" in tail.output(), timeout_s=20, what="the line after the restart")
            assert [line for line in tail.output().splitlines() if not line.startswith("sillok:")] == [
                "before",
                "after",
            ]
    finally:
        server.kill()


def test_a_tail_of_a_server_that_is_not_there_does_not_wait_for_one() -> None:
    done = sillok("query", "{}", "--tail", "--addr", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "sillok up" in done.stderr


def test_lines_of_a_slow_source_are_pushed_as_they_come(server: Server) -> None:
    command = [SILLOK, "push", "-l", "service=slow", "--addr", server.url, "-q"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as pushing:
        assert pushing.stdin is not None
        pushing.stdin.write("first\nhalf of a")
        pushing.stdin.flush()
        deadline_s = time.monotonic() + 10
        while "first" not in (seen := run(server, "query", '{service="slow"}', "-o", "raw").stdout):
            assert time.monotonic() < deadline_s, seen
        pushing.stdin.write(" line")
        pushing.stdin.close()
        assert pushing.wait(10) == 0
    assert run(server, "query", '{service="slow"}', "-o", "raw").stdout == "half of a line\nfirst\n"


def test_a_refused_line_is_told_and_the_others_are_stored(server: Server) -> None:
    done = run(server, "push", "-l", "service=refused", stdin="good\n" + "x" * 300_000 + "\nalso good\n")
    assert done.returncode == 1
    assert "2 lines stored" in done.stderr
    assert "1 lines refused" in done.stderr
    assert run(server, "query", '{service="refused"}', "-o", "raw").stdout == "also good\ngood\n"


@pytest.mark.parametrize("label", ["noequals", "a b=c", "=x", "x="])
def test_a_label_that_is_none_is_refused(label: str, server: Server) -> None:
    done = run(server, "push", "-l", label, stdin="x\n")
    assert done.returncode == 1
    assert "expected NAME=VALUE" in done.stderr
