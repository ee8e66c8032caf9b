"""What the questions share: the data set, the systems, and one loaded folder a system."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import data
from bench.prepare import Corpus
from bench.systems import ROOT, Ask, Peak, Running, System, running

DAY_NS = 24 * 3600 * data.SECOND_NS


@dataclass(frozen=True, slots=True)
class Load:
    """One run of the sender against one system."""

    lines: int
    raw_bytes: int
    seconds: float
    p50_ms: float
    p99_ms: float
    resent: int
    server_cpu_s: float
    sender_cpu_s: float
    peak_rss_mib: float


@dataclass(slots=True)
class World:
    corpus: Corpus
    systems: Sequence[System]
    folder: Path
    loads: dict[str, Load] = field(default_factory=dict)

    def fresh(self, system: System, purpose: str) -> Path:
        """An empty folder."""
        folder = self.folder / f"{system.name}-{purpose}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def loaded(self, system: System) -> Path:
        """The folder of `system` with the whole data set in it, pushed over 4 connections; loaded once a run."""
        folder = self.folder / f"{system.name}-loaded"
        if system.name not in self.loads:
            with running(system, self.fresh(system, "loaded")) as one:
                self.loads[system.name] = self.load(one, connections=4, lines=self.corpus.shape.lines)
                system.settle(one)
        return folder

    def load(self, one: Running, *, connections: int, lines: int) -> Load:
        """Push the first `lines` lines, and count that they are there."""
        batches = -(-lines // data.LINES_PER_BATCH)
        cpu_s = one.cpu_s()
        with Peak(one) as peak:
            sender = subprocess.run(
                [
                    *(sys.executable, "-m", "bench.load", one.address, one.system.push_path),
                    *(str(self.corpus.folder), "0", str(batches), str(connections)),
                ],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
        if sender.returncode != 0:
            raise RuntimeError(f"the load of {one.system.name} failed: {sender.stderr}")
        said = json.loads(sender.stdout)
        return Load(
            lines=said["lines"],
            raw_bytes=self.corpus.raw_bytes * said["lines"] // self.corpus.shape.lines,
            seconds=said["seconds"],
            p50_ms=said["p50_ms"],
            p99_ms=said["p99_ms"],
            resent=said["resent"],
            server_cpu_s=one.cpu_s() - cpu_s,
            sender_cpu_s=said["cpu_s"],
            peak_rss_mib=peak.rss_mib,
        )

    def needle(self, number: int) -> Ask:
        """The planted lines of one needle, over everything."""
        shape = self.corpus.shape
        return Ask({"job": "docker"}, shape.start_ns, shape.end_ns, 1000, data.NEEDLES[number])

    def latest(self, host: int) -> Ask:
        """The latest 100 lines of a host, over everything."""
        shape = self.corpus.shape
        return Ask({"host": data.host_name(host)}, shape.start_ns, shape.end_ns, 100)

    def expected(self, host: int) -> list[str]:
        """The answer to `latest(host)`, from the generator."""
        shape = self.corpus.shape
        last = max(batch for batch in range(shape.batches) if data.host_of(shape, batch) == host)
        lines = sorted(data.lines_of(shape, last), key=lambda line: line.time_ns, reverse=True)
        return [line.text for line in lines[:100]]

    def check(self, one: Running, ask: Ask) -> None:
        """Fail unless the answer is right: a timing of a wrong answer means nothing."""
        found = one.lines(ask)
        if ask.needle:
            assert len(found) == self.corpus.shape.needles, f"{one.system.name}: {len(found)} needles"
            assert all(ask.needle in line for line in found), one.system.name
        else:
            host = int(ask.labels["host"].rpartition("-")[2])
            expected = self.expected(host)
            assert found == expected, f"{one.system.name}: {found[:2]} is not {expected[:2]}"
