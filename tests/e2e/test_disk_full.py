"""A full disk is a state with a name: pushes are refused, reads go on, and it passes by itself."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.api import SECOND_NS
from tests.e2e.system import STOP_S, Server
from tests.peers import missing
from tests.processes import wait_until

START_NS = time.time_ns() - 600 * SECOND_NS
LINES_A_PUSH = 500


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own, 200 MB large."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        missing("a small file system cannot be mounted here: that needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("filled_by", ["others", "itself"])
def test_pushes_wait_while_the_disk_is_full_and_nothing_is_lost(small_disk: Path, filled_by: str) -> None:
    acknowledged: list[str] = []
    seed = random.Random(5)

    def push(server: Server) -> int:
        """Push some hard-to-compress lines; the status."""
        begin = len(acknowledged)
        lines = [f"{begin + number:07d} {seed.randbytes(500).hex()}" for number in range(LINES_A_PUSH)]
        entries = [(START_NS + begin + number, line) for number, line in enumerate(lines)]
        status = server.api.push({"job": "disk"}, entries).status_code
        if status == 204:
            acknowledged.extend(lines)
        return status

    ballast = small_disk / "ballast"
    with Server(small_disk / "data", "--set", "store.min_free=16MB") as server:
        ballast.write_bytes(bytes(40 << 20))
        for _ in range(10):
            assert push(server) == 204
        if filled_by == "others":
            _fill(small_disk / "more")
        status = next((status for _ in range(400) if (status := push(server)) != 204), 204)
        refused = server.api.push({"job": "disk"}, [(START_NS, "one more")])

        assert status in (503, 507)
        assert refused.status_code in (503, 507)
        assert "disk" in refused.text.lower() or "space" in refused.text.lower()
        assert "retry-after" in refused.headers
        assert acknowledged == server.api.lines('{job="disk"}')
        assert server.api.http.get("/ready").status_code == 200

        ballast.unlink()
        (small_disk / "more").unlink(missing_ok=True)
        wait_until(lambda: push(server) == 204, timeout_s=20, what="pushes to be taken again")
        assert acknowledged == server.api.lines('{job="disk"}')
        server.stop(timeout_s=STOP_S)
    with Server(small_disk / "data", "--set", "store.min_free=16MB") as server:
        assert acknowledged == server.api.lines('{job="disk"}')


def _fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            return


def test_a_start_on_a_full_disk_says_so(small_disk: Path) -> None:
    with Server(small_disk / "data", "--set", "store.min_free=16MB") as server:
        server.api.must_push({"job": "disk"}, [(START_NS, "before")])
        server.stop(timeout_s=STOP_S)
    _fill(small_disk / "more")
    with Server(small_disk / "data", "--set", "store.min_free=16MB") as server:
        assert server.api.lines('{job="disk"}') == ["before"]
        assert server.api.push({"job": "disk"}, [(START_NS + 1, "x")]).status_code in (503, 507)
        (small_disk / "more").unlink()
        wait_until(
            lambda: server.api.push({"job": "disk"}, [(START_NS + 1, "after")]).status_code == 204,
            timeout_s=20,
            what="pushes to be taken again",
        )
        assert server.api.lines('{job="disk"}') == ["before", "after"]
