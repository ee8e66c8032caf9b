"""The collector as a process: killed, refused, left alone with a dead store, watching its own log."""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from tests.agent.process import cpu_seconds, is_balanced, positions, resident_bytes, start, status, wait_for_status
from tests.agent.store import Answer, Push, Store
from tests.processes import free_port, wait_until

KILLS = 25
MIB = 1024 * 1024


class Application(threading.Thread):
    """Writes numbered lines and rotates its log now and then, as fast as it likes, until stopped."""

    def __init__(self, path: Path, *, seed: int) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.written: list[bytes] = []
        self._random = random.Random(seed)
        self._stop_asked = threading.Event()

    def run(self) -> None:
        file = self.path.open("ab")
        while not self._stop_asked.wait(0.01):
            lines = [b"%s level=info n=%d" % (self.path.stem.encode(), len(self.written) + at) for at in range(40)]
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            self.written += lines
            if self._random.random() < 0.02:
                file.close()
                self.path.rename(self.path.with_name(f"{self.path.name}.{len(self.written)}"))
                file = self.path.open("ab")
        file.close()

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_kills_at_any_moment_lose_and_double_nothing(tmp_path: Path) -> None:
    """T-09, "Done when": the collector is killed again and again under load; the store sometimes loses its answer."""
    chance = random.Random(7)
    applications = [Application(tmp_path / f"app-{number}.log", seed=number) for number in range(3)]
    with Store() as store:

        def answer(push: Push) -> Answer:
            roll = chance.random()
            if roll < 0.1:
                return Answer(is_answered=False)  # Taken, but the answer is lost.
            return Answer(503) if roll < 0.2 else Answer()

        store.answer = answer
        settings = {"min_backoff_s": 0.05, "max_backoff_s": 0.1, "batch_bytes": 16_384, "batch_wait_s": 0.05}
        for application in applications:
            application.path.touch()
        with start(tmp_path, store.url, f"{tmp_path}/app-*.log", **settings):
            # Rotations that are there when a path is first seen are not read; so it must have been seen.
            wait_until(lambda: "siblings" in positions(tmp_path), timeout_s=10, what="the first positions")
        for application in applications:
            application.start()
        for _ in range(KILLS):
            with start(tmp_path, store.url, f"{tmp_path}/app-*.log", **settings):
                time.sleep(chance.uniform(0.35, 0.9))
        for application in applications:
            application.stop()
        store.answer = lambda push: Answer()
        expected = [line for application in applications for line in application.written]
        with start(tmp_path, store.url, f"{tmp_path}/app-*.log", **settings) as last:
            wait_for_status(tmp_path, read=len(expected), stored=len(expected))
            last.stop(timeout_s=2)
        sums = status(tmp_path)["lines"]
        assert sorted(store.texts()) == sorted(expected)
        assert sums["stored"] == sums["read"] == len(expected)
        assert is_balanced(sums)


def test_a_store_that_comes_late_gets_everything_in_order_and_once(tmp_path: Path) -> None:
    """T-09."""
    port = free_port()
    path = tmp_path / "x.log"
    expected = [b"line %d" % number for number in range(3000)]
    settings = {"min_backoff_s": 0.05, "max_backoff_s": 0.2, "batch_bytes": 8192}
    url = f"http://127.0.0.1:{port}/loki/api/v1/push"
    for part in range(3):  # Three lives of the collector without a store.
        with path.open("ab") as file:
            file.writelines(line + b"\n" for line in expected[part * 1000 : (part + 1) * 1000])
        with start(tmp_path, url, str(path), **settings) as agent:
            found = wait_for_status(tmp_path, read=(part + 1) * 1000, spooled=(part + 1) * 1000, stored=0)
            wait_until(lambda: status(tmp_path)["last_error"], timeout_s=5, what="the reason")
            assert found["lines"]["stored"] == 0
            if part == 1:
                agent.stop(timeout_s=2)
    with Store(port=port) as store, start(tmp_path, url, str(path), **settings) as agent:
        wait_for_status(tmp_path, stored=3000, spooled=0)
        assert store.texts() == expected
        agent.stop(timeout_s=2)


def test_its_own_log_does_not_feed_itself(tmp_path: Path) -> None:
    """One collected line causes no further line, not even while every push is refused."""
    own = tmp_path / "logs" / "agent.log"
    own.parent.mkdir()
    store = Store(gives_receipts=False)
    with store, start(tmp_path, store.url, f"{tmp_path}/logs/*.log", log=own) as agent:
        wait_until(lambda: store.lines, timeout_s=10, what="its own first line")
        time.sleep(1.5)
        before = own.stat().st_size
        time.sleep(2)
        assert own.stat().st_size == before
        store.answer = lambda push: Answer(400, body=b"line too old")
        with own.open("ab") as file:
            file.write(b"INFO a line from elsewhere\n")
        wait_until(lambda: b"refused 1 of 1" in own.read_bytes(), timeout_s=10, what="the refusal in its log")
        time.sleep(1.5)
        before = own.stat().st_size
        time.sleep(2)
        assert own.stat().st_size == before
        agent.stop(timeout_s=2)


def test_it_stops_within_two_seconds_and_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"one\ntwo\n")
    with Store() as store:
        with start(tmp_path, store.url, str(path)) as agent:
            wait_for_status(tmp_path, stored=2)
            with path.open("ab") as file:
                file.write(b"three\n")
            time.sleep(0.3)
            assert agent.stop(timeout_s=2) < 2
            assert agent.returncode == 0
        with start(tmp_path, store.url, str(path)) as agent:
            wait_for_status(tmp_path, stored=3)
            agent.stop(timeout_s=2)
        assert store.texts() == [b"one", b"two", b"three"]


def test_it_stops_within_two_seconds_while_the_store_hangs(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"one\n" * 5000)
    with Store() as store:
        store.delay_s = 4
        with start(tmp_path, store.url, str(path)) as agent:
            wait_for_status(tmp_path, in_flight=5000)
            agent.stop(timeout_s=2)
        sums = wait_for_status(tmp_path, read=5000, spooled=5000)["lines"]
        assert is_balanced(sums)


def test_the_ledger_says_what_was_refused(tmp_path: Path) -> None:
    """A receipt counts: what it calls stored is stored, and only the rest is refused."""
    path = tmp_path / "x.log"
    path.write_bytes(b"fine\nfine\ntoo long\n")
    with Store() as store:

        def answer(push: Push) -> Answer:
            receipt = {"batch": push.batch, "stored": 2, "duplicates": 0, "refused": {"line_too_long": 1}}
            return Answer(400, {"X-Sillok-Receipt": json.dumps(receipt)}, b"max entry size exceeded")

        store.answer = answer
        with start(tmp_path, store.url, str(path), listen=repr(f"127.0.0.1:{(port := free_port())}")) as agent:
            found = wait_for_status(tmp_path, stored=2, read=3, in_flight=0)
            assert found["lines"]["refused"] == {"line_too_long": 1}
            assert is_balanced(found["lines"])
            metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
            assert f'sillok_agent_refused_lines_total{{reason="line_too_long",source="{path}"}} 1.0' in metrics
            assert f'sillok_agent_stored_lines_total{{source="{path}"}} 2.0' in metrics
            shown = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/status"))
            assert shown["sources"][str(path)]["stored"] == 2
            assert urllib.request.urlopen(f"http://127.0.0.1:{port}/ready").status == 200
            agent.stop(timeout_s=2)
            assert "max entry size exceeded" in agent.output()
    assert len(store.pushes) == 1


def test_a_second_collector_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Store() as store, start(tmp_path, store.url, f"{tmp_path}/x.log") as agent:
        wait_until(lambda: status(tmp_path), timeout_s=10, what="the first one")
        with start(tmp_path, store.url, f"{tmp_path}/x.log", log=tmp_path / "second.log") as second:
            wait_until(lambda: second.returncode is not None, timeout_s=10, what="its end")
            assert second.returncode != 0
            assert f"used by another collector (process {agent.pid})" in second.output()


@pytest.mark.slow
def test_many_idle_files_cost_little(tmp_path: Path) -> None:
    """Idle RSS ≤ 80 MiB (the issue's bar), and hardly any CPU."""
    for number in range(2000):
        path = tmp_path / "logs" / f"service-{number % 50}" / f"{number}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"INFO a line of a log that is idle now\n" * 50)
    with Store() as store, start(tmp_path, store.url, f"{tmp_path}/logs/**/*.log") as agent:
        wait_for_status(tmp_path, stored=100_000)
        time.sleep(1)
        before = cpu_seconds(agent.pid)
        time.sleep(4)
        used = (cpu_seconds(agent.pid) - before) / 4
        resident = resident_bytes(agent.pid)
        print(f"2,000 idle files: {resident / MIB:.0f} MiB, {used:.1%} of a core")
        assert resident <= 80 * MIB
        assert used < 0.25
        agent.stop(timeout_s=2)
