"""loki-canary, unchanged: it pushes, tails and asks again, and counts what it misses."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import is_ready, program
from tests.processes import Process, free_port

LINES = 200


@pytest.mark.slow
def test_the_canary_misses_nothing(server: str, kind: str, job: str, tmp_path: Path) -> None:
    port = free_port()
    canary = [
        program("loki-canary"),
        f"-addr={server.removeprefix('http://')}",
        f"-port={port}",
        "-push=true",
        f"-labelvalue={job}",
        "-interval=50ms",
        "-wait=8s",
        "-max-wait=10s",
        "-pruneinterval=1s",
        "-spot-check-interval=1s",
        "-spot-check-initial-wait=1s",
        "-spot-check-query-rate=1s",
    ]

    def counted() -> dict[str, float]:
        return _metrics(f"http://127.0.0.1:{port}/metrics")

    with Process(canary, log=tmp_path / "canary.log") as process:
        process.wait_for(lambda: is_ready(f"http://127.0.0.1:{port}/metrics"), timeout_s=20, what="the canary")
        process.wait_for(lambda: counted()["entries"] >= LINES, timeout_s=60, what=f"{LINES} lines sent")
        # Long enough for the lines sent last to be pruned, or asked for again and counted as missing.
        process.wait_for(_after(12.0), timeout_s=20, what="the last checks")
        found = counted()

    assert found["spot_check_entries"] > 0
    assert found["missing_entries"] == 0
    assert found["spot_check_missing_entries"] == 0
    assert found["unexpected_entries"] == 0, process.output()[-3000:]
    assert found["duplicate_entries"] == 0
    # All were seen live over the web socket. (The real Loki needs some seconds to find a new stream.)
    assert found["websocket_missing_entries"] == 0 or kind == "loki"


def _metrics(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^loki_canary_(\w+)_total (\S+)$", text, re.MULTILINE)}


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
