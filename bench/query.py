"""How long does it take to find a few lines among all of them?

Through HTTP, one at a time. Cold: the first of its kind after a start with the page cache dropped. Warm: the
median of the next ones. No question is asked twice: each is about another host or another text, so that nothing
that remembers answers, or where a text was not, can look fast.
"""

from __future__ import annotations

import statistics
import time

from bench.report import Bar, Result
from bench.start import drop_page_cache
from bench.systems import Ask, Running, System, running
from bench.world import World

LATEST = Bar(at_most=60)
NEEDLE = Bar(at_most=700)
REPEATS = 7


def measure(world: World) -> list[Result]:
    results = []
    for system in world.systems:
        hosts = world.corpus.shape.hosts
        latest = [world.latest(number % hosts) for number in range(REPEATS)]
        needles = [world.needle(number) for number in range(REPEATS)]
        results += _timed(world, system, "latest 100 of a host", latest, LATEST)
        results += _timed(world, system, "substring needle", needles, NEEDLE)
    return results


def _timed(world: World, system: System, what: str, asks: list[Ask], bar: Bar) -> list[Result]:
    folder = world.loaded(system)
    drop_page_cache()
    with running(system, folder) as one:
        cold, *warm = [_ms(one, ask) for ask in asks]
        for ask in asks:
            world.check(one, ask)
    return [
        Result("query", f"{what}: cold", system.name, cold, "ms"),
        Result("query", f"{what}: warm", system.name, statistics.median(warm), "ms", bar),
    ]


def _ms(one: Running, ask: Ask) -> float:
    path = one.system.request(ask)
    begin = time.perf_counter()
    status, _ = one.get(path)
    assert status == 200, f"{one.system.name} answered {status}"
    return 1000 * (time.perf_counter() - begin)
