"""The systems that are measured: Sillok, and the real Loki and VictoriaLogs where they are at hand.

A system is started on a free port over a folder of its own, takes Loki pushes, and answers two kinds of
question. What it uses (processor, memory, disk) is read from outside, from /proc and the file system.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Ask:
    """Lines of `selector` that hold `needle`, newest first, at most `limit`."""

    labels: dict[str, str]
    start_ns: int
    end_ns: int
    limit: int
    needle: str | None = None


class System(Protocol):
    """One kind of server."""

    name: str
    push_path: str

    def command(self, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
        """The command line and what it needs in its environment."""

    def ready_path(self) -> str: ...

    def request(self, ask: Ask) -> str:
        """Path and parameters of the question."""

    def lines(self, body: bytes) -> list[str]:
        """The lines in an answer, newest first."""

    def settle(self, running: Running) -> None:
        """Have everything that was pushed written in its lasting form."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Running:
    """A started system."""

    def __init__(self, system: System, folder: Path) -> None:
        self.system = system
        self.folder = folder
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        command, env = system.command(folder, self.port)
        self._log = folder.with_name(f"{folder.name}.log")
        begin = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
            )
        self._wait_ready()
        self.ready_s = time.perf_counter() - begin
        self.started_at = begin

    def _wait_ready(self) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.system.name} ended at once:\n{self._log.read_text()[-3000:]}")
            try:
                if self.get(self.system.ready_path())[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise RuntimeError(f"{self.system.name} did not get ready:\n{self._log.read_text()[-3000:]}")

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def lines(self, ask: Ask) -> list[str]:
        status, body = self.get(self.system.request(ask))
        if status != 200:
            raise RuntimeError(f"{self.system.name} answered {status}: {body[:500]!r}")
        return self.system.lines(body)

    def cpu_s(self) -> float:
        """Processor seconds of the process, its children, and those that have ended."""
        ticks = 0
        for pid in _tree(self._process.pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / _TICKS

    def rss_mib(self) -> float:
        """Resident memory of the process and its children; shared pages count once a process."""
        total = 0
        for pid in _tree(self._process.pid):
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
        return total * os.sysconf("SC_PAGE_SIZE") / 2**20

    def disk_bytes(self) -> int:
        return disk_bytes(self.folder)

    def stop(self) -> float:
        """Seconds until the process was gone."""
        begin = time.perf_counter()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return time.perf_counter() - begin


@contextmanager
def running(system: System, folder: Path) -> Iterator[Running]:
    one = Running(system, folder)
    try:
        yield one
    finally:
        one.stop()


class Peak:
    """The highest resident memory seen while it is open."""

    def __init__(self, one: Running) -> None:
        self._one = one
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.rss_mib = 0.0

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.rss_mib = max(self.rss_mib, self._one.rss_mib())


def disk_bytes(folder: Path) -> int:
    """What the folder takes on disk, in allocated blocks."""
    total = 0
    for parent, _, names in os.walk(folder):  # what goes away meanwhile is passed over
        for name in names:
            try:
                total += Path(parent, name).lstat().st_blocks * 512
            except OSError:
                continue
    return total


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _loki_request(ask: Ask) -> str:
    selector = ", ".join(f'{name}="{value}"' for name, value in ask.labels.items())
    query = f"{{{selector}}}" + (f' |= "{ask.needle}"' if ask.needle else "")
    parameters = {"query": query, "start": ask.start_ns, "end": ask.end_ns, "limit": ask.limit, "direction": "backward"}
    return f"/loki/api/v1/query_range?{urlencode(parameters)}"


def _loki_lines(body: bytes) -> list[str]:
    values = [value for stream in json.loads(body)["data"]["result"] for value in stream["values"]]
    return [line for _, line, *_ in sorted(values, key=lambda value: int(value[0]), reverse=True)]


def _wait_still(one: Running, *, still_s: float = 15, limit_s: float = 240) -> None:
    """Return when the folder's size has not changed for `still_s`."""
    end, size, since = time.monotonic() + limit_s, -1, time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < still_s:
        now = one.disk_bytes()
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(1)


class Sillok:
    name = "sillok"
    push_path = "/loki/api/v1/push"

    def command(self, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
        sillok = Path(sys.executable).parent / "sillok"
        return [str(sillok), "serve", "--data", str(folder / "data"), "--listen", f"127.0.0.1:{port}"], {}

    def ready_path(self) -> str:
        return "/ready"

    def request(self, ask: Ask) -> str:
        return _loki_request(ask)

    def lines(self, body: bytes) -> list[str]:
        return _loki_lines(body)

    def settle(self, running: Running) -> None:
        """Merges run by themselves; wait until they are done and the parts they replaced are gone."""
        _wait_still(running)


class Loki:
    """The real Loki as `../shared/peers/loki-bench.yaml` tunes it."""

    name = "loki"
    push_path = "/loki/api/v1/push"

    def __init__(self, program: Path, config: Path) -> None:
        self._program = program
        self._config = config

    def command(self, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
        env = {"LOKI_DATA": str(folder / "data"), "LOKI_PORT": str(port), "LOKI_GRPC_PORT": str(free_port())}
        return [str(self._program), f"-config.file={self._config}", "-config.expand-env=true"], env

    def ready_path(self) -> str:
        return "/ready"

    def request(self, ask: Ask) -> str:
        return _loki_request(ask)

    def lines(self, body: bytes) -> list[str]:
        return _loki_lines(body)

    def settle(self, running: Running) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=300)
        connection.request("POST", "/flush")
        connection.getresponse().read()
        connection.close()
        _wait_still(running, still_s=75)  # longer than a checkpoint takes to come: it removes the write-ahead log


class VictoriaLogs:
    name = "victoria-logs"
    push_path = "/insert/loki/api/v1/push?disable_message_parsing=1"  # keep the line as it is, as the others do

    def __init__(self, program: Path) -> None:
        self._program = program

    def command(self, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
        listen = f"-httpListenAddr=127.0.0.1:{port}"
        return [str(self._program), f"-storageDataPath={folder / 'data'}", listen, "-retentionPeriod=100y"], {}

    def ready_path(self) -> str:
        return "/health"

    def request(self, ask: Ask) -> str:
        selector = ",".join(f'{name}="{value}"' for name, value in ask.labels.items())
        query = f"{{{selector}}}" + (f" {json.dumps(ask.needle)}" if ask.needle else "")
        query += f" | sort by (_time desc) limit {ask.limit}"
        start, end = (f"{time_ns / 1e9:.6f}" for time_ns in (ask.start_ns, ask.end_ns))
        return f"/select/logsql/query?{urlencode({'query': query, 'start': start, 'end': end})}"

    def lines(self, body: bytes) -> list[str]:
        return [json.loads(line)["_msg"] for line in body.splitlines() if line]

    def settle(self, running: Running) -> None:
        running.get("/internal/force_flush")
        running.get("/internal/force_merge")
        _wait_still(running)


def peers() -> list[System]:
    """The real Loki and VictoriaLogs, if their programs are at hand (see tests/peers.py)."""
    from tests.peers import SHARED, find

    found: list[System] = []
    loki, config = find("loki"), SHARED / "peers" / "loki-bench.yaml"
    if loki and config.is_file():
        found.append(Loki(loki, config))
    victoria = find("victoria-logs")
    if victoria:
        found.append(VictoriaLogs(victoria))
    return found
