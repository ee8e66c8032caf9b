"""kill -9 of server and collector in a loop under load: no acknowledged line is lost and none is doubled.

Numbered lines come in two ways: pushed directly, where every sender repeats the same bytes until they are
acknowledged, and written to files that a collector follows and that are rotated meanwhile.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson
import pytest

from tests.e2e.api import SECOND_NS, Api
from tests.e2e.system import STOP_S, Agent, Server
from tests.processes import free_port, wait_until

KILLS = 60  # the promise is tested with 50 and more
DAY_NS = 86_400 * SECOND_NS
SPAN_DAYS = 28
OPTIONS = ("--set", "limits.retention_period=2160h")


class Pusher(threading.Thread):
    """Pushes numbered lines; a push is repeated, byte for byte, until it is acknowledged."""

    def __init__(self, url: str, number: int, over: threading.Event) -> None:
        super().__init__(name=f"pusher-{number}")
        self._url = url
        self._number = number
        self._over = over
        self._random = random.Random(number)
        self.acknowledged: list[str] = []
        self.repeated = 0
        self.refused: list[str] = []

    def run(self) -> None:
        with httpx.Client(timeout=20) as http:
            first = 0
            while not self._over.is_set():
                lines = [f"pushed {self._number} {first + n:07d}" for n in range(self._random.randrange(1, 300))]
                first += len(lines)
                body = orjson.dumps({"streams": self._streams(lines)})
                headers = {"Content-Type": "application/json"}
                if self._number % 2:
                    headers["X-Sillok-Batch"] = self._random.randbytes(16).hex()
                self._repeat(lambda: http.post(f"{self._url}/loki/api/v1/push", content=body, headers=headers))  # noqa: B023
                self.acknowledged += lines
                self._over.wait(0.02)

    def _streams(self, lines: list[str]) -> list[dict[str, object]]:
        now_ns = time.time_ns()
        # Every second sender spreads each push over many days: a commit that has many parts.
        spread_ns = SPAN_DAYS * DAY_NS if self._number >= 2 else SECOND_NS
        entries = [[str(now_ns - spread_ns * n // len(lines)), line] for n, line in enumerate(lines)]
        half = len(entries) // 2
        labels = {"job": "pushed", "sender": str(self._number)}
        return [
            {"stream": {**labels, "half": name}, "values": values}
            for name, values in (("a", entries[:half]), ("b", entries[half:]))
            if values
        ]

    def _repeat(self, post: Callable[[], httpx.Response]) -> None:
        for attempt in itertools.count():
            try:
                answer = post()
            except httpx.TransportError:
                self.repeated += 1
                time.sleep(0.05)
                continue
            if answer.status_code == 204:
                return
            if answer.status_code not in (429, 503) or attempt > 2000:
                self.refused.append(f"{answer.status_code} {answer.text[:300]}")
                raise AssertionError(self.refused[-1])
            time.sleep(0.05)


class Writer(threading.Thread):
    """Writes numbered lines to `logs/<name>/app.log`, which is renamed and begun anew again and again."""

    def __init__(self, folder: Path, name: str, over: threading.Event, *, rotated_name: str) -> None:
        super().__init__(name=f"writer-{name}")
        self._folder = folder / "logs" / name
        self._folder.mkdir(parents=True)
        self._name = name
        self._over = over
        self._rotated_name = rotated_name
        self.written: list[str] = []

    def run(self) -> None:
        for rotation in itertools.count(1):
            path = self._folder / "app.log"
            with path.open("a", buffering=1) as file:
                for _ in range(1500):
                    if self._over.is_set():
                        return
                    line = f"written {self._name} {len(self.written):07d} rotation {rotation}"
                    # In two pieces: a collector must not take half a line for a line.
                    file.write(line[:9])
                    file.flush()
                    file.write(line[9:] + "\n")
                    self.written.append(line)
                    if len(self.written) % 5 == 0:
                        time.sleep(0.02)
            path.rename(self._folder / self._rotated_name.format(rotation))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_lose_no_acknowledged_line_and_double_none(tmp_path: Path) -> None:
    seed = int(os.environ.get("SILLOK_KILL_SEED", time.time_ns() % 100_000))
    print(f"SILLOK_KILL_SEED={seed}")
    chance = random.Random(seed)
    port = free_port()
    pushing, writing = threading.Event(), threading.Event()
    pushers = [Pusher(f"http://127.0.0.1:{port}", number, pushing) for number in range(4)]
    writers = [
        Writer(tmp_path, "vllm", writing, rotated_name="app.{}.log"),
        Writer(tmp_path, "fastapi", writing, rotated_name="app.log.{}"),
    ]
    server = Server(tmp_path / "data", *OPTIONS, port=port)
    agent = Agent(tmp_path, server.url)
    kills: Counter[str] = Counter()
    try:
        server.wait_ready()
        for thread in (*pushers, *writers):
            thread.start()
        while sum(kills.values()) < KILLS or min(kills["server"], kills["agent"]) < KILLS // 3:
            assert all(thread.is_alive() for thread in (*pushers, *writers)), [one.refused for one in pushers]
            which = chance.choice(["server", "agent", "both"])
            if which in ("server", "both"):
                server.kill()
                kills["server"] += 1
            if which in ("agent", "both"):
                agent.kill()
                kills["agent"] += 1
            time.sleep(chance.random() * 0.2)
            if which in ("server", "both"):
                server = Server(tmp_path / "data", *OPTIONS, port=port)
                if chance.random() < 0.8:  # else it is killed while it starts
                    server.wait_ready()
            if which in ("agent", "both"):
                agent = Agent(tmp_path, server.url)
            time.sleep(chance.random() * 1.2)
        server.wait_ready()
        pushing.set()
        writing.set()
        for thread in (*pushers, *writers):
            thread.join(60)
        _check(server.api, pushers, writers, agent)
        agent.stop(timeout_s=STOP_S)
        server.stop(timeout_s=STOP_S)
        print(dict(kills), {one.name: (len(one.acknowledged), one.repeated) for one in pushers})
    finally:
        pushing.set()
        writing.set()
        server.kill()
        agent.kill()


def _check(api: Api, pushers: list[Pusher], writers: list[Writer], agent: Agent) -> None:
    """Every line is there, once."""
    acknowledged = [line for one in pushers for line in one.acknowledged]
    start_ns = time.time_ns() - (SPAN_DAYS + 1) * DAY_NS
    pushed = api.lines('{job="pushed"}', start_ns=start_ns)
    assert _difference(acknowledged, pushed) == {}

    written = [line for one in writers for line in one.written]

    def collected() -> list[str]:
        return api.lines('{job="files"}', start_ns=time.time_ns() - 3600 * SECOND_NS)

    agent.wait_for(lambda: len(collected()) >= len(written), timeout_s=60, what=f"{len(written)} collected lines")
    wait_until(_after(2.0), timeout_s=5, what="lines that come twice")
    assert _difference(written, collected()) == {}


def _difference(expected: list[str], found: list[str]) -> dict[str, list[str]]:
    """What is lost, doubled or foreign: the first few of each."""
    counts = Counter(found)
    lost = [line for line in expected if line not in counts]
    doubled = [line for line, count in counts.items() if count > 1]
    foreign = sorted(set(counts) - set(expected))
    named = {"lost": lost, "doubled": doubled, "foreign": foreign}
    return {name: [f"{len(lines)} lines", *lines[:5]] for name, lines in named.items() if lines}


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
