"""What does the collector take: memory idle and at work, processor time, and how long until a file is stored?

A file of a million lines lies there when it starts; the store is a Sillok on the same machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

from bench import data
from bench.report import Bar, Result
from bench.systems import Ask, Peak, Running, Sillok, running
from bench.world import World

IDLE = Bar(at_most=80)
IDLE_AFTER_S = 10
LINES = 1_000_000


class Collector:
    """`sillok agent` on a folder of files, as a thing that can be started and measured."""

    name = "sillok"
    push_path = ""

    def __init__(self, target: str) -> None:
        self._target = target

    def command(self, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
        sillok = Path(sys.executable).parent / "sillok"
        options = [f"agent.files={folder}/logs/*/*.log", "agent.docker.enabled=false", f"agent.listen=127.0.0.1:{port}"]
        sets = [word for option in options for word in ("--set", option)]
        return [str(sillok), "agent", "--data", str(folder / "agent"), *sets], {"LOKI_URL": self._target}

    def ready_path(self) -> str:
        return "/ready"

    def request(self, ask: Ask) -> str:
        raise NotImplementedError

    def lines(self, body: bytes) -> list[str]:
        raise NotImplementedError

    def settle(self, running: Running) -> None:
        raise NotImplementedError


def measure(world: World) -> list[Result]:
    system = next((system for system in world.systems if isinstance(system, Sillok)), None)
    if system is None:
        return []
    count = min(LINES, world.corpus.shape.lines)
    with running(system, world.fresh(system, "collected")) as server:
        collector = Collector(f"http://{server.address}{system.push_path}")
        folder = world.fresh(collector, "collector")
        with running(collector, folder) as agent:
            time.sleep(IDLE_AFTER_S)
            idle = agent.rss_mib()
        log = folder / "logs" / "vllm" / "engine.log"
        log.parent.mkdir(parents=True)
        with log.open("w") as file:
            for batch in range(-(-count // data.LINES_PER_BATCH)):
                file.writelines(f"{line.text}\n" for line in data.lines_of(world.corpus.shape, batch))
        os.sync()
        with running(collector, folder) as agent, Peak(agent) as peak:
            while _stored(server) < count:
                time.sleep(0.1)
            seconds = time.perf_counter() - agent.started_at
            cpu_s = agent.cpu_s()
        assert _stored(server) == count, f"{_stored(server)} of {count}"
    return [
        Result("collector", "idle", "sillok", idle, "MiB", IDLE),
        Result("collector", "at work: peak", "sillok", peak.rss_mib, "MiB"),
        Result("collector", "a file until it is stored: lines", "sillok", count / seconds, "lines/s"),
        Result("collector", "at work", "sillok", cpu_s / count * 1e6, "CPU s per million lines"),
    ]


def _stored(server: Running) -> int:
    now_ns = time.time_ns()
    parameters = {"query": '{service="vllm"}', "start": now_ns - data.SPAN_NS, "end": now_ns + data.SECOND_NS}
    status, body = server.get(f"/loki/api/v1/index/stats?{urlencode(parameters)}")
    return int(json.loads(body)["entries"]) if status == 200 else 0
