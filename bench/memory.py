"""How much memory does the server take: idle, idle over much data, and at the peak of a load?

Resident memory of a process and its children.
"""

from __future__ import annotations

import time

from bench.report import Bar, Result
from bench.systems import System, running
from bench.world import World

SERVER_IDLE = Bar(at_most=500)
IDLE_AFTER_S = 10


def measure(world: World) -> list[Result]:
    results = []
    for system in world.systems:
        empty = _idle(world, system, is_loaded=False)
        loaded = _idle(world, system, is_loaded=True)
        peak = world.loads[system.name].peak_rss_mib
        results += [
            Result("memory", "server idle, empty", system.name, empty, "MiB", SERVER_IDLE),
            Result("memory", "server idle, all data there", system.name, loaded, "MiB", SERVER_IDLE),
            Result("memory", "server while loading: peak", system.name, peak, "MiB"),
        ]
    return results


def _idle(world: World, system: System, *, is_loaded: bool) -> float:
    folder = world.loaded(system) if is_loaded else world.fresh(system, "idle")
    with running(system, folder) as one:
        time.sleep(IDLE_AFTER_S)
        return one.rss_mib()
