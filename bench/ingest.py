"""How many lines a second are taken, over 1 and over 4 connections? Every answer means: on disk."""

from __future__ import annotations

import shutil

from bench.report import Bar, Result
from bench.systems import running
from bench.world import Load, World

LINES_PER_S = Bar(at_least=200_000)


def measure(world: World) -> list[Result]:
    results = []
    for system in world.systems:
        folder = world.fresh(system, "one")
        with running(system, folder) as one:
            single = world.load(one, connections=1, lines=min(1_000_000, world.corpus.shape.lines))
        shutil.rmtree(folder)
        world.loaded(system)
        results += _results(system.name, "1 connection", single)
        results += _results(system.name, "4 connections", world.loads[system.name])
    return results


def _results(system: str, how: str, load: Load) -> list[Result]:
    bar = LINES_PER_S if how.startswith("4") else None
    million = load.lines / 1e6
    return [
        Result("ingest", f"{how}: lines", system, load.lines / load.seconds, "lines/s", bar),
        Result("ingest", f"{how}: raw", system, load.raw_bytes / load.seconds / 1e6, "MB/s"),
        Result("ingest", f"{how}: push p50", system, load.p50_ms, "ms"),
        Result("ingest", f"{how}: push p99", system, load.p99_ms, "ms"),
        Result("ingest", f"{how}: server", system, load.server_cpu_s / million, "CPU s per million lines"),
        Result("ingest", f"{how}: sender", system, load.sender_cpu_s / million, "CPU s per million lines"),
        Result("ingest", f"{how}: sent again", system, load.resent, "pushes"),
    ]
