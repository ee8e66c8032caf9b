"""`sillok serve` as a process: ready, stopped, refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.system import SILLOK, Server, sillok
from tests.processes import Process, free_port

DAY_NS = 86_400 * 10**9


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def is_open_socket(server: Server) -> bool:
    with urllib.request.urlopen(f"{server.url}/metrics") as response:
        return b"\nsillok_http_websockets 1.0" in response.read()


def test_a_server_answers_before_it_is_ready_and_says_why(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    try:
        seen: list[int] = []
        server.wait_for(lambda: seen.append(status(f"{server.url}/ready")) or 200 in seen, timeout_s=20, what="200")
        assert set(seen) <= {0, 503, 200}
        assert 503 in seen
    finally:
        server.kill()


def test_a_tail_of_a_server_that_starts_is_asked_to_come_again(tmp_path: Path) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    server = Server(tmp_path / "data")
    try:
        server.wait_for(lambda: status(f"{server.url}/ready"), timeout_s=20, what="an answer")
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{server.url.replace('http', 'ws')}/loki/api/v1/tail?query=x", proxy=None)
        assert refused.value.response.status_code == 503
    finally:
        server.kill()


def test_everything_a_server_writes_is_below_its_data_folder(tmp_path: Path) -> None:
    work = tmp_path / "work"
    temporary = tmp_path / "tmp"
    work.mkdir()
    temporary.mkdir()
    with Server(work / "data", env={"TMPDIR": str(temporary), "HOME": str(temporary)}) as server:
        sillok("push", "--addr", server.url, input="x\n" * 2000)
        sillok("query", "{job='stdin'}", "--addr", server.url)
        server.stop()
    assert {path.name for path in work.iterdir()} == {"data", "data.log"}
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_in_time_and_reports_success(by: signal.Signals, tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        # A connection that does nothing and a tail that waits must not hold it up.
        with socket.create_connection(("127.0.0.1", server.port)):
            command = [SILLOK, "query", '{a="b"}', "--tail", "--addr", server.url]
            with Process(command, log=tmp_path / "tail.log") as tail:
                tail.wait_for(lambda: is_open_socket(server), timeout_s=10, what="the tail")
                assert server.stop(by=by) < 5
        assert server.returncode == 0
        assert "Traceback" not in server.output()


def test_a_signal_while_the_store_is_opened_stops_the_server_too(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    try:
        server.wait_for(lambda: "listening" in server.output(), timeout_s=20, what="the listener")
        assert server.stop() < 5
        assert server.returncode == 0
    finally:
        server.kill()


def test_a_second_server_on_the_same_folder_is_refused(server: Server) -> None:
    done = sillok("serve", "--data", server.data, "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert str(server.data) in done.stderr
    assert "another process" in done.stderr


def test_a_port_that_is_taken_is_named_with_the_remedy(server: Server, tmp_path: Path) -> None:
    done = sillok("serve", "--data", tmp_path / "data", "--listen", f"127.0.0.1:{server.port}")
    assert done.returncode == 1
    assert f"127.0.0.1:{server.port}" in done.stderr
    assert "--listen 127.0.0.1:3101" in done.stderr
    assert not (tmp_path / "data").exists()


def test_several_addresses_can_be_opened(tmp_path: Path) -> None:
    """A-08, T-17: the web page's usual ports beside Loki's."""
    port = free_port()
    with Server(tmp_path / "data", "--listen", f"127.0.0.1:{port}") as server:
        assert status(f"http://127.0.0.1:{port}/ready") == 200
        server.stop()


def test_an_open_port_without_credentials_brings_one_warning(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--listen", f"0.0.0.0:{free_port()}") as server:
        warnings = [line for line in server.output().splitlines() if "level=warn" in line]
        assert len(warnings) == 1
        assert "no credentials" in warnings[0]
        server.stop()


def test_loopback_brings_no_warning(server: Server) -> None:
    assert "level=warn" not in server.output()


def test_with_credentials_an_open_port_brings_no_warning(tmp_path: Path) -> None:
    hashed = subprocess.run([SILLOK, "hash-token"], text=True, capture_output=True, check=True)
    token = hashed.stderr.split()[1]
    file = tmp_path / "sillok.yaml"
    entry = f"{{name: me, {hashed.stdout.strip()}, roles: [push, read], tenants: ['*']}}"
    file.write_text(f"auth:\n  credentials:\n    - {entry}\n")
    options = ("--config", str(file), "--listen", f"0.0.0.0:{free_port()}")
    with Server(tmp_path / "data", *options) as server:
        assert "level=warn" not in server.output()
        url = ("--addr", server.url)
        assert "give --token-file" in sillok("labels", *url).stderr
        env = {**os.environ, "SILLOK_TOKEN": token}
        assert sillok("push", *url, env=env, input="x\n").returncode == 0
        assert sillok("query", '{job="stdin"}', "-o", "raw", *url, env=env).stdout == "x\n"
        server.stop()


def test_lokis_file_and_flags_start_a_server_and_name_what_is_not_used(tmp_path: Path) -> None:
    """T-07."""
    file = tmp_path / "loki-config.yaml"
    file.write_text(
        "auth_enabled: true\nserver:\n  http_listen_port: 1\n  grpc_listen_port: 9096\n"
        "limits_config:\n  reject_old_samples: false\n  retention_period: 336h\n"
    )
    with Server(tmp_path / "data", "-config.file", str(file)) as server:
        assert server.output().count("level=warn") == 1
        assert f"{file}:4: `server.grpc_listen_port` has no meaning here" in server.output()
        assert "no org id" in sillok("labels", "--addr", server.url).stderr
        assert sillok("labels", "--addr", server.url, "--org-id", "a").returncode == 0
        with urllib.request.urlopen(f"{server.url}/config") as response:
            shown = response.read().decode()
        assert f"retention_period: 336h  # {file}:7" in shown
        server.stop()


def test_limits_can_be_set_by_lokis_names(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--set", "limits.max_line_size=10", "--auth-enabled") as server:
        done = sillok("push", "--addr", server.url, "--org-id", "a", input="short\nmuch too long for that\n")
        assert "1 lines refused" in done.stderr
        server.stop()


def test_data_of_an_earlier_run_is_there_again(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        sillok("push", "--addr", server.url, input="kept\n")
        server.stop()
    with Server(tmp_path / "data") as server:
        assert sillok("query", '{job="stdin"}', "-o", "raw", "--addr", server.url).stdout == "kept\n"
        server.stop()


def test_old_lines_are_gone_after_a_start(tmp_path: Path) -> None:
    """T-07: `retention_period` deletes by itself. Late lines are taken, and go when they are too old."""
    old, new = time.time_ns() - 20 * DAY_NS, time.time_ns()
    values = [[str(old), "old"], [str(new), "new"]]
    body = json.dumps({"streams": [{"stream": {"job": "old"}, "values": values}]}).encode()
    with Server(tmp_path / "data", "--set", "limits.retention_period=0s") as server:
        push = urllib.request.Request(
            f"{server.url}/loki/api/v1/push", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(push) as response:
            assert response.status == 204
        assert lines(server) == ["new", "old"]
        server.stop()
    with Server(tmp_path / "data") as server:
        server.wait_for(lambda: lines(server) == ["new"], timeout_s=20, what="the old line to go")
        server.stop()


def lines(server: Server) -> list[str]:
    found = ("query", '{job="old"}', "--since", "600h", "-o", "raw", "--addr", server.url)
    return sillok(*found).stdout.split()


def test_a_clickhouse_server_can_be_the_store(tmp_path: Path) -> None:
    """Against the double of its HTTP interface."""
    command = [sys.executable, "-m", "tests.doubles.clickhouse_http", tmp_path / "clickhouse"]
    # The double ends with its standard input, so it gets one that stays open.
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as double:
        assert double.stdout is not None
        url = double.stdout.readline().strip()
        with Server(tmp_path / "data", "--set", f"store.clickhouse_url={url}") as server:
            sillok("push", "--addr", server.url, input="over there\n")
            assert sillok("query", '{job="stdin"}', "-o", "raw", "--addr", server.url).stdout == "over there\n"
            server.stop()
        assert not (tmp_path / "data").exists()
        double.kill()


def test_a_clickhouse_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    listen = f"127.0.0.1:{free_port()}"
    done = sillok("serve", "--data", tmp_path / "data", "--listen", listen, "--set", f"store.clickhouse_url={url}")
    assert done.returncode == 1
    assert f"ClickHouse at {url} cannot be reached" in done.stderr
