"""Row workers: processes of their own that come when needed and go with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sillok.errors import BadRequest, QueryTimeout, StoreUnavailable
from sillok.query.workers import RowWorkers
from sillok.text import duration
from tests.processes import wait_until


def children() -> set[int]:
    """Row workers of this process."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == os.getpid() and b"sillok.query.worker" in command:
            found.add(int(folder.name))
    return found


def test_workers_start_when_first_needed_are_used_again_and_end_at_once() -> None:
    workers = RowWorkers(max_workers=2)
    assert children() == set()
    assert workers.run(10, duration.parse_go, "1h") == 3600 * duration.SECOND_NS
    first = children()
    assert len(first) == 1
    assert workers.run(10, duration.parse_go, "1m") == 60 * duration.SECOND_NS
    assert children() == first
    began = time.monotonic()
    workers.close()
    assert time.monotonic() - began < 1
    assert children() == set()
    with pytest.raises(StoreUnavailable):
        workers.run(1, duration.parse_go, "1h")


def test_an_error_in_a_worker_is_the_callers_and_the_worker_goes_on() -> None:
    workers = RowWorkers(max_workers=1)
    with pytest.raises(duration.DurationError, match="invalid duration"):
        workers.run(10, duration.parse_go, "x")
    assert workers.run(10, duration.parse_go, "1s") == duration.SECOND_NS
    workers.close()


def test_work_over_its_time_is_ended_and_the_next_goes_on() -> None:
    workers = RowWorkers(max_workers=1)
    began = time.monotonic()
    with pytest.raises(QueryTimeout):
        workers.run(0.5, time.sleep, 30)
    assert time.monotonic() - began < 5
    assert workers.run(10, duration.parse_go, "1s") == duration.SECOND_NS
    workers.close()


def test_a_worker_that_died_is_replaced() -> None:
    workers = RowWorkers(max_workers=1)
    workers.run(10, duration.parse_go, "1s")
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _is_alive(pid), timeout_s=5, what="the worker to die")
    assert workers.run(10, duration.parse_go, "1s") == duration.SECOND_NS
    workers.close()


def test_there_are_never_more_workers_than_allowed() -> None:
    workers = RowWorkers(max_workers=2)
    threads = [threading.Thread(target=workers.run, args=(30, time.sleep, 0.3)) for _ in range(6)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, len(children()))
        time.sleep(0.02)
    workers.close()
    assert most == 2


def test_a_worker_that_nobody_needs_ends_and_the_next_comes() -> None:
    workers = RowWorkers(max_workers=1, idle_s=0.3)
    workers.run(10, duration.parse_go, "1s")
    assert len(children()) == 1
    wait_until(lambda: not children(), timeout_s=5, what="the idle worker to end")
    assert workers.run(10, duration.parse_go, "1s") == duration.SECOND_NS
    workers.close()


def test_closing_ends_workers_that_are_at_work() -> None:
    workers = RowWorkers(max_workers=1)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            workers.run(30, time.sleep, 20)
        except (StoreUnavailable, BadRequest) as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(children, timeout_s=10, what="a worker")
    time.sleep(0.2)
    began = time.monotonic()
    workers.close()
    thread.join(5)
    assert time.monotonic() - began < 1.5
    assert len(failures) == 1
    assert children() == set()


def test_workers_die_with_a_parent_that_is_killed() -> None:
    program = (
        "import os, signal, time\n"
        "from sillok.query.workers import RowWorkers\n"
        "workers = RowWorkers(max_workers=1)\n"
        "print(workers.run(10, os.getpid), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _is_alive(pid)
        parent.kill()
    wait_until(lambda: not _is_alive(pid), timeout_s=5, what="the worker to die with its parent")


def test_a_worker_takes_signals_again_that_its_parent_blocks() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        workers = RowWorkers(max_workers=1)
        assert signal.SIGUSR1 not in workers.run(10, signal.pthread_sigmask, signal.SIG_BLOCK, [])
        workers.close()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
