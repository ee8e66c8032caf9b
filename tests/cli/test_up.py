"""`sillok up`: server and collector of this machine, started with one command and stopped with one key."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.system import SILLOK, sillok
from tests.processes import Process, free_port, tree, wait_until


class Up(Process):
    def __init__(self, folder: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.folder = folder
        (folder / "logs" / "vllm").mkdir(parents=True, exist_ok=True)
        command = [SILLOK, "up", "--listen", f"127.0.0.1:{port}", "--set", "agent.files=./logs/*/*.log", *options]
        super().__init__(command, log=folder / "up.log", env=env, cwd=folder)

    def log_file(self) -> Path:
        return self.folder / "logs" / "vllm" / "x.log"

    def lines(self, selector: str = '{service="vllm"}', *options: str) -> list[str]:
        done = sillok("query", selector, "-o", "raw", "--limit", "0", "-q", "--addr", self.url, *options)
        return done.stdout.splitlines()

    def wait_for_lines(self, count: int, *options: str) -> None:
        self.wait_for(
            lambda: len(self.lines("{service='vllm'}".replace("'", '"'), *options)) >= count, timeout_s=30, what="lines"
        )


@contextmanager
def up(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Up]:
    with Up(folder, *options, env=env) as running:
        running.wait_for(lambda: "is ready at" in running.output(), timeout_s=30, what="the address")
        yield running


def test_one_command_shows_what_this_machine_logs(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.log_file().write_text("INFO model loaded\nERROR out of memory\n")
        running.wait_for_lines(2)
        assert running.stop(by=signal.SIGINT) < 5
        assert running.returncode == 0
        shown = running.output()
    assert f"Sillok 0.1.0 is ready at {running.url}" in shown
    assert re.search(r"watching .*\./logs/\*/\*\.log.*Docker.*Sillok's own log", shown)
    assert re.search(r"[\d,]+ lines read, [\d,]+ stored", shown)
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "sillok-data", "up.log"}


def test_the_next_start_goes_on_where_this_one_stopped(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.log_file().write_text("one\ntwo\n")
        running.wait_for_lines(2)
        running.stop()
    with running.log_file().open("a") as file:
        file.write("three while nobody looked\n")
    with up(tmp_path) as running:
        running.wait_for_lines(3)
        time.sleep(1)  # for a line that comes twice to come
        assert sorted(running.lines()) == ["one", "three while nobody looked", "two"]
        running.stop()


def test_own_log_is_there_and_does_not_feed_itself(tmp_path: Path) -> None:
    own = '{service="sillok"}'
    with up(tmp_path) as running:
        running.wait_for(lambda: running.lines(own), timeout_s=30, what="Sillok's own lines")
        time.sleep(2)
        count = len(running.lines(own))
        time.sleep(3)
        assert len(running.lines(own)) == count
        running.stop()


def test_nothing_stays_behind_when_it_is_killed(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        children = [pid for pid in tree(running.pid) if pid != running.pid]
        assert len(children) >= 2
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: not any(_is_alive(pid) for pid in children), timeout_s=10, what="the children to end")


def _is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_server_that_dies_ends_everything_and_is_named(tmp_path: Path) -> None:
    with Up(tmp_path) as running:
        running.wait_for(lambda: "is ready at" in running.output(), timeout_s=30, what="the address")
        serving = [pid for pid in tree(running.pid) if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(serving[0], signal.SIGKILL)
        wait_until(lambda: running.returncode is not None, timeout_s=10, what="the end")
        assert running.returncode == 1
        assert "the server ended by itself (-9)" in running.output()


def test_a_taken_port_ends_with_the_servers_own_words(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = sillok("up", "--listen", address, cwd=tmp_path)
    assert done.returncode == 1
    assert f"cannot listen on {address}" in done.stderr
    assert "--listen 127.0.0.1:3101" in done.stderr


def test_a_wrong_configuration_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "sillok.yaml").write_text("limts: {}\n")
    done = sillok("up", cwd=tmp_path)
    assert done.returncode == 2
    assert "sillok.yaml:1: `limts`: unknown key; did you mean `limits`?" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"sillok.yaml"}


def test_a_malformed_loki_url_starts_nothing(tmp_path: Path) -> None:
    """T-08."""
    done = sillok("up", cwd=tmp_path, env={**os.environ, "LOKI_URL": "monitoring:3100"})
    assert done.returncode == 2
    assert "LOKI_URL does not begin with http://" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_loki_url_sends_the_lines_elsewhere(tmp_path: Path, server) -> None:  # type: ignore[no-untyped-def]
    """T-08."""
    with up(tmp_path, env={"LOKI_URL": f"{server.url}/loki/api/v1/push"}) as running:
        running.log_file().write_text("for the other one\n")
        found = ("query", '{service="vllm"}', "-o", "raw", "--addr", server.url)
        running.wait_for(lambda: "for the other one" in sillok(*found).stdout, timeout_s=30, what="the line there")
        assert running.lines() == []
        running.stop()


@pytest.mark.parametrize("options", [("--auth-enabled",), ()])
def test_its_own_collector_may_push_whatever_the_credentials_are(options: tuple[str, ...], tmp_path: Path) -> None:
    token = subprocess.run([SILLOK, "hash-token"], text=True, capture_output=True, check=True)
    secret = tmp_path / "token"
    secret.write_text(token.stderr.split()[1])
    entry = f"{{name: me, {token.stdout.strip()}, roles: [read], tenants: [fake]}}"
    (tmp_path / "sillok.yaml").write_text(f"auth:\n  credentials: [{entry}]\n")
    with up(tmp_path, *options) as running:
        running.log_file().write_text("a line behind a lock\n")
        running.wait_for_lines(1, "--token-file", str(secret))
        assert running.lines() == []
        assert (tmp_path / "sillok-data" / "agent" / "server-token").stat().st_mode & 0o077 == 0
        running.stop()
