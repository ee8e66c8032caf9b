"""SIGKILL while commits of 30 days go on: what was acknowledged is there, and nothing is there twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.ingest.pusher import DAYS, LINES_A_DAY

KILLS = 12
ROOT = Path(__file__).resolve().parents[2]


class Pusher:
    """A running `tests.ingest.pusher`; `told` are the receipts it printed."""

    def __init__(self, folder: Path, first: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.ingest.pusher", folder, str(first)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self._process.stdout is not None
        self._output: IO[str] = self._process.stdout

    def receipts(self, *, kill_after_s: float) -> Iterator[dict[str, int]]:
        """What it says from its first receipt on; it is killed `kill_after_s` later."""
        kill_at = None
        for line in self._output:
            kill_at = kill_at or time.monotonic() + kill_after_s
            yield json.loads(line)
            if time.monotonic() >= kill_at:
                break
        self._process.kill()
        with self._output:
            yield from map(json.loads, filter(lambda line: line.endswith("\n"), self._output))
        self._process.wait()


def stored_lines(folder: Path) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.ingest.pusher", folder, "--count"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    times: dict[str, int] = json.loads(answer.stdout)
    return times


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_during_commits_of_thirty_days_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """A kill may leave some days of a batch stored and others not; sending it again must mend that."""
    acknowledged: set[int] = set()
    mended = 0
    dice = random.Random(7)
    for _ in range(KILLS):
        first = next(number for number in range(len(acknowledged) + 1) if number not in acknowledged)
        for receipt in Pusher(tmp_path / "store", first).receipts(kill_after_s=dice.uniform(0.0, 1.2)):
            assert receipt["stored"] + receipt["duplicates"] == DAYS * LINES_A_DAY
            if receipt["batch"] in acknowledged:
                assert receipt["stored"] == 0
            mended += 0 < receipt["stored"] < DAYS * LINES_A_DAY
            acknowledged.add(receipt["batch"])
    times = stored_lines(tmp_path / "store")
    assert {line for line, count in times.items() if count != 1} == set()
    expected = {f"{n} {day} {line}" for n in acknowledged for day in range(DAYS) for line in range(LINES_A_DAY)}
    assert expected - times.keys() == set()
    print(f"{KILLS} kills, {len(acknowledged)} batches, {mended} of them completed after a kill")
