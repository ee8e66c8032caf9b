"""How long from the start of the process until it is ready, and until the first right answer?

Over the whole data set, with the page cache dropped first where that is allowed; the median of three starts.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from bench.report import Bar, Result
from bench.systems import System, running
from bench.world import World

READY = Bar(at_most=3.0)
STARTS = 3


def measure(world: World) -> list[Result]:
    results = []
    for system in world.systems:
        folder = world.loaded(system)
        starts = [_start(world, system, folder) for _ in range(STARTS)]
        results += [
            Result("start", "ready", system.name, statistics.median(ready for ready, _ in starts), "s", READY),
            Result("start", "first right answer", system.name, statistics.median(first for _, first in starts), "s"),
        ]
    return results


def _start(world: World, system: System, folder: Path) -> tuple[float, float]:
    drop_page_cache()
    with running(system, folder) as one:
        world.check(one, world.latest(0))
        return one.ready_s, time.perf_counter() - one.started_at


def drop_page_cache() -> None:
    """Forget cached file pages; without the right to, everything stays warm."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        pass
