"""The collector and the real Loki, which knows no receipts and no ids."""

from __future__ import annotations

import json
import random
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.agent.process import start, wait_for_status
from tests.peers import real_loki

COUNT = 4000


def lines(loki: str, query: str) -> list[str]:
    parameters = {"query": query, "limit": "5000", "start": str(time.time() - 3600), "direction": "forward"}
    with urllib.request.urlopen(f"{loki}/loki/api/v1/query_range?{urllib.parse.urlencode(parameters)}") as answer:
        streams = json.load(answer)["data"]["result"]
    return [line for _, line in sorted((int(at), line) for stream in streams for at, line in stream["values"])]


@pytest.mark.slow
def test_the_real_loki_has_each_line_once_and_in_order_though_the_collector_is_killed(tmp_path: Path) -> None:
    """T-09. Batches that are sent again after a kill have the same times, so Loki takes them for what they are."""
    path = tmp_path / "logs" / "queue" / "x.log"
    path.parent.mkdir(parents=True)
    chance = random.Random(3)
    written = 0
    (tmp_path / "loki").mkdir()
    with real_loki(tmp_path / "loki") as loki:
        settings = {"min_backoff_s": 0.05, "max_backoff_s": 0.2, "batch_bytes": 4096, "batch_wait_s": 0.05}
        while written < COUNT:
            with start(tmp_path, f"{loki}/loki/api/v1/push", str(path), **settings):
                for _ in range(4):
                    with path.open("a") as file:
                        file.writelines(f"INFO line {number:05}\n" for number in range(written, written + 100))
                    written += 100
                    time.sleep(chance.uniform(0.05, 0.25))
        with start(tmp_path, f"{loki}/loki/api/v1/push", str(path), **settings) as agent:
            wait_for_status(tmp_path, stored=written, spooled=0, in_flight=0)
            agent.stop(timeout_s=2)
        found = lines(loki, '{service="queue", level="info", job="files"}')
    assert found == [f"INFO line {number:05}" for number in range(written)]
