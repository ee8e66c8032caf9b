"""How much disk does a byte of log take, once merges have run?"""

from __future__ import annotations

from bench.report import Bar, Result
from bench.systems import disk_bytes
from bench.world import World

RATIO = Bar(at_least=3.5)


def measure(world: World) -> list[Result]:
    results = []
    for system in world.systems:
        size = disk_bytes(world.loaded(system))
        shape = world.corpus.shape
        results += [
            Result("disk", "raw : disk", system.name, world.corpus.raw_bytes / size, "times", RATIO),
            Result("disk", "a line", system.name, size / shape.lines, "bytes"),
        ]
    return results
