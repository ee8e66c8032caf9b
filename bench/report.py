"""What was measured: a table for people, JSON for machines, and the bars that must hold."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

OUT = Path(__file__).resolve().parent / "out"


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise: the value is `at_least` or `at_most` this."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        if self.at_least is not None and value < self.at_least:
            return False
        return self.at_most is None or value <= self.at_most

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Result:
    """One number of one system."""

    question: str
    measure: str
    system: str
    value: float
    unit: str
    bar: Bar | None = None

    @property
    def is_missed(self) -> bool:
        return self.bar is not None and self.system == "sillok" and not self.bar.holds(self.value)


def table(results: Sequence[Result]) -> str:
    """One line a measure, one column a system."""
    systems = list(dict.fromkeys(result.system for result in results))
    rows: dict[tuple[str, str, str], dict[str, Result]] = {}
    for result in results:
        rows.setdefault((result.question, result.measure, result.unit), {})[result.system] = result
    lines = [["", "", *systems, "bar"]]
    for (question, measure, unit), by_system in rows.items():
        bar = next((result.bar for result in by_system.values() if result.bar), None)
        missed = any(result.is_missed for result in by_system.values())
        values = [_number(by_system[system].value) if system in by_system else "–" for system in systems]
        lines.append([question, f"{measure}, {unit}", *values, f"{bar}{'  MISSED' if missed else ''}" if bar else ""])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 or column == len(widths) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def write(results: Sequence[Result], *, lines: int, streams: int) -> Path:
    """The results as JSON under `bench/out/`; the path of the file."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    machine = {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    content = {"machine": machine, "lines": lines, "streams": streams, "results": [asdict(one) for one in results]}
    path.write_text(json.dumps(content, indent=1))
    return path
