"""The collector as a process of its own, sending to Sillok and to the real Loki."""

from __future__ import annotations

import gzip
import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.api import Api
from tests.e2e.system import SILLOK, STOP_S, Agent, Server, sillok
from tests.peers import is_ready
from tests.processes import Process, free_port, tree, wait_until


def numbered(first: int, end: int) -> list[str]:
    return [f"line {number:06d}" for number in range(first, end)]


def write(path: Path, lines: list[str], *, mode: str = "a") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode) as file:
        file.writelines(f"{line}\n" for line in lines)


def arrived(api: Api, query: str, count: int, *, timeout_s: float = 30) -> list[str]:
    """The lines of `query` once there are `count` of them, and some time for more to come by mistake."""
    wait_until(lambda: len(api.lines(query)) >= count, timeout_s=timeout_s, what=f"{count} lines of {query}")
    time.sleep(0.7)
    return api.lines(query)


def test_lines_of_a_file_get_the_labels_of_their_place(server: str, api: Api, job: str, tmp_path: Path) -> None:
    """V-04, T-02: `logs/vllm/x.log` is the service `vllm`."""
    write(tmp_path / "logs" / "vllm" / "x.log", ["INFO ready", "ERROR out of memory"])
    with Agent(tmp_path, server, "--set", f"agent.host={job}") as agent:
        found = arrived(api, f'{{service="vllm", host="{job}", job="files"}}', 2)
        errors = api.lines(f'{{level="error", host="{job}"}}')
        agent.stop(timeout_s=STOP_S)

    assert sorted(found) == ["ERROR out of memory", "INFO ready"]
    assert errors == ["ERROR out of memory"]


def test_the_collector_may_come_first(tmp_path: Path) -> None:
    """T-09: what is written before the store exists is kept on disk and delivered in order, once."""
    port = free_port()
    log = tmp_path / "logs" / "queue" / "app.log"
    write(log, numbered(0, 2000))
    with Agent(tmp_path, f"http://127.0.0.1:{port}") as agent:
        write(log, numbered(2000, 4000))
        time.sleep(1.5)  # long enough to try in vain
        agent.kill()
    write(log, numbered(4000, 5000))
    with Agent(tmp_path, f"http://127.0.0.1:{port}"), Server(tmp_path / "data", port=port) as server:
        found = arrived(server.api, '{service="queue"}', 5000)

    assert numbered(0, 5000) == found


def test_a_stopped_collector_goes_on_exactly_where_it_was(server: str, api: Api, job: str, tmp_path: Path) -> None:
    log = tmp_path / "logs" / job / "app.log"
    for first in range(0, 500, 100):
        write(log, numbered(first, first + 100))
        with Agent(tmp_path, server) as agent:
            arrived(api, f'{{service="{job}"}}', first + 100)
            write(log, numbered(first + 100, first + 100))
            agent.stop(timeout_s=STOP_S)

    assert numbered(0, 500) == sorted(api.lines(f'{{service="{job}"}}'))


def test_rotated_files_are_read_to_their_end(sillok_url: str, job: str, tmp_path: Path) -> None:
    """Rename, compression behind it, and truncation in place."""
    api = Api(sillok_url)
    folder = tmp_path / "logs" / job
    log = folder / "app.log"
    query = f'{{service="{job}"}}'
    write(log, numbered(0, 100))
    with Agent(tmp_path, sillok_url) as agent:
        arrived(api, query, 100)
        write(log, numbered(100, 200))
        log.rename(folder / "app.log.1")
        write(log, numbered(200, 300))
        arrived(api, query, 300)
        with gzip.open(folder / "app.log.2.gz", "wb") as packed:
            packed.write((folder / "app.log.1").read_bytes())
        (folder / "app.log.1").unlink()
        (folder / "copy").write_bytes(log.read_bytes())
        os.truncate(log, 0)
        write(log, numbered(300, 350))
        found = arrived(api, query, 350)
        agent.stop(timeout_s=STOP_S)

    assert numbered(0, 350) == sorted(found)


def test_an_outage_of_the_store_is_survived(tmp_path: Path) -> None:
    """T-03: the log system may die without any effect on the applications."""
    log = tmp_path / "logs" / "api" / "app.log"
    port = free_port()
    write(log, numbered(0, 1000))
    with Server(tmp_path / "data", port=port) as server, Agent(tmp_path, server.url):
        arrived(server.api, '{service="api"}', 1000)
        server.kill()
        write(log, numbered(1000, 3000))
        time.sleep(1)
        with Server(tmp_path / "data", port=port) as second:
            found = arrived(second.api, '{service="api"}', 3000)

    assert numbered(0, 3000) == found


def test_a_missing_or_malformed_target_is_an_error_that_names_it(tmp_path: Path) -> None:
    """T-08."""
    environment = {name: value for name, value in os.environ.items() if name != "LOKI_URL"}
    for url in (None, "", "monitoring:3100", "ftp://monitoring/x", "http://"):
        env = environment if url is None else {**environment, "LOKI_URL": url}
        done = sillok("agent", "--data", tmp_path / "agent", timeout_s=20, env=env, cwd=tmp_path)
        assert done.returncode not in (0, None)
        assert "LOKI_URL" in done.stderr, (url, done.stderr)
        assert "Traceback" not in done.stderr


@pytest.fixture
def up(tmp_path: Path) -> Process:
    """`sillok up` in a folder with `logs/vllm/engine.log`."""
    write(tmp_path / "logs" / "vllm" / "engine.log", numbered(0, 20))
    return Process(
        [SILLOK, "up", "--listen", f"127.0.0.1:{free_port()}"],
        log=tmp_path / "up.log",
        cwd=tmp_path,
        env={"PYTHONUNBUFFERED": "1"},
    )


def test_up_shows_the_lines_of_this_machine(up: Process, tmp_path: Path) -> None:
    """V-01–V-04: one command; address, what is watched, and how many lines have come in are printed."""
    url = f"http://{up.command[-1]}"
    with up:
        up.wait_for(lambda: is_ready(f"{url}/ready"), timeout_s=30, what="the server")
        api = Api(url)
        found = arrived(api, '{service="vllm"}', 20)
        labels = api.get("/loki/api/v1/labels")["data"]
        family = tree(up.pid)
        took_s = up.stop(timeout_s=STOP_S, by=signal.SIGINT)
        printed = up.output()
        left = [pid for pid in family if Path(f"/proc/{pid}").exists()]

    assert numbered(0, 20) == found
    assert {"service", "host", "job", "filename"} <= set(labels)
    assert url in printed
    assert "/var/log" in printed
    assert "logs/*/*.log" in printed
    assert took_s < STOP_S
    assert len(family) >= 3  # the supervisor, the server, the collector
    assert left == []
    assert up.returncode == 0
    assert "Traceback" not in printed


def test_up_goes_on_where_it_stopped(up: Process, tmp_path: Path) -> None:
    url = f"http://{up.command[-1]}"
    with up:
        up.wait_for(lambda: is_ready(f"{url}/ready"), timeout_s=30, what="the server")
        arrived(Api(url), '{service="vllm"}', 20)
        up.stop(timeout_s=STOP_S)
    write(tmp_path / "logs" / "vllm" / "engine.log", numbered(20, 30))
    with Process(up.command, log=up.log, cwd=tmp_path) as again:
        again.wait_for(lambda: is_ready(f"{url}/ready"), timeout_s=30, what="the server")
        found = arrived(Api(url), '{service="vllm"}', 30)
        again.stop(timeout_s=STOP_S)

    assert numbered(0, 30) == found


def test_sillok_does_not_feed_on_its_own_log(up: Process) -> None:
    url = f"http://{up.command[-1]}"
    with up:
        up.wait_for(lambda: is_ready(f"{url}/ready"), timeout_s=30, what="the server")
        api = Api(url)
        arrived(api, '{service="vllm"}', 20)
        for number in range(20):
            api.push({"job": "bad label"}, [(number, "refused")])
            api.http.get("/loki/api/v1/query_range", params={"query": "{"})
        time.sleep(2)
        before = len(api.lines('{service=~"sillok.*"}'))
        time.sleep(4)
        after = len(api.lines('{service=~"sillok.*"}'))

    assert before == after
