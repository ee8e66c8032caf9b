"""`python -m bench [QUESTION …]`: measure, print a table, write JSON under `bench/out/`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import collector, disk, ingest, memory, prepare, query, report, start
from bench.data import SERVICES
from bench.systems import Sillok, System, peers
from bench.world import World

QUESTIONS: dict[str, Callable[[World], list[report.Result]]] = {
    "ingest": ingest.measure,
    "disk": disk.measure,
    "memory": memory.measure,
    "start": start.measure,
    "query": query.measure,
    "collector": collector.measure,
}


def main() -> int:
    arguments = _arguments()
    available: list[System] = [Sillok(), *(peers() if arguments.only != "sillok" else [])]
    systems = [system for system in available if arguments.only in (None, system.name)]
    hosts = max(1, round(arguments.streams / len(SERVICES)))
    print(f"preparing {arguments.lines:,} lines in {hosts * len(SERVICES):,} streams …", file=sys.stderr)
    corpus = prepare.corpus(lines=arguments.lines, hosts=hosts)
    folder = Path(tempfile.mkdtemp(prefix="sillok-bench-", dir=arguments.folder))
    world = World(corpus=corpus, systems=systems, folder=folder)
    results: list[report.Result] = []
    try:
        for name in arguments.questions or QUESTIONS:
            begin = time.monotonic()
            results += QUESTIONS[name](world)
            print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(report.table(results))
    print(f"written to {report.write(results, lines=arguments.lines, streams=corpus.shape.streams)}", file=sys.stderr)
    return 1 if any(result.is_missed for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}; all without")
    parser.add_argument("--lines", type=int, default=5_000_000, help="how many lines (5,000,000)")
    parser.add_argument("--streams", type=int, default=72, help="over how many streams (72)")
    parser.add_argument("--only", metavar="SYSTEM", help="sillok, loki or victoria-logs; all that are there without")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where data folders are made (the system's own place)"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.questions) - set(QUESTIONS)
    if unknown:
        parser.error(f"no such question: {', '.join(sorted(unknown))}; there are {', '.join(QUESTIONS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
