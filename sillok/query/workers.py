"""Row workers: processes that turn many rows into an answer, so that the event loop's thread keeps its GIL.

Measured: one pure-Python loop beside the event loop raised a round trip from 0.2 to 5.6 ms, four of them to
42 ms. Workers start when first needed, are at most a handful, and end with the parent, however it ends.
They are programs of their own, not forks (a fork after the engine has opened hangs) and not
`multiprocessing` children (those import the parent's main module, engine and all).
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from sillok import telemetry
from sillok.errors import QueryTimeout, StoreUnavailable
from sillok.query import worker
from sillok.query.jobs import TIMED_OUT

P = ParamSpec("P")
T = TypeVar("T")

MAX_WORKERS = 4
STOP_PATIENCE_S = 0.5
# A worker holds about 65 MB; starting one takes about 100 ms.
IDLE_S = 120.0


class RowWorkers:
    """A bounded pool. `run` blocks: call it on a worker thread."""

    def __init__(self, *, max_workers: int | None = None, idle_s: float = IDLE_S) -> None:
        self._max_workers = max_workers or min(MAX_WORKERS, os.cpu_count() or 1)
        self._places = threading.BoundedSemaphore(self._max_workers)
        self._lock = threading.Lock()
        self._idle: list[subprocess.Popen[bytes]] = []
        self._all: set[subprocess.Popen[bytes]] = set()
        self._idle_s = idle_s
        self._last_use = 0.0
        self._tidying: threading.Timer | None = None
        self._is_closed = False

    def run(self, timeout_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args, **kwargs)` in a worker. Function, arguments and result travel as pickles.

        Raises:
            QueryTimeout: it took longer than `timeout_s`; the worker was ended.
            StoreUnavailable: the pool is closed, or the worker died.
        """
        task = pickle.dumps((function, args, kwargs), protocol=pickle.HIGHEST_PROTOCOL)
        if not self._places.acquire(timeout=timeout_s):
            raise QueryTimeout(TIMED_OUT)
        try:
            worked, answer = self._ask(task, timeout_s)
        finally:
            self._places.release()
        if not worked:
            raise answer
        result: T = answer
        return result

    def close(self) -> None:
        """End all workers, those at work too. Returns within a second."""
        with self._lock:
            self._is_closed = True
            workers, self._all = list(self._all), set()
            self._idle = []
            if self._tidying is not None:
                self._tidying.cancel()
        for process in workers:
            process.terminate()
        for process in workers:
            _reap(process)
        telemetry.QUERY_ROW_WORKERS.set(0)

    def _ask(self, task: bytes, timeout_s: float) -> tuple[bool, Any]:
        process = self._take()
        # Ending the process is the only way to end what it does; it also unblocks the pipes.
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(timeout_s, end)
        timer.daemon = True
        timer.start()
        try:
            answer = _exchange(process, task)
        finally:
            timer.cancel()
        if answer is None:
            self._forget(process)
            raise QueryTimeout(TIMED_OUT) if is_late.is_set() else StoreUnavailable("a row worker died; ask again")
        self._give_back(process)
        worked, result = pickle.loads(answer)  # noqa: S301  our own process wrote it
        return worked, result

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise StoreUnavailable("the server is stopping")
            while self._idle:
                process = self._idle.pop()
                if process.poll() is None:
                    return process
                self._all.discard(process)
                _reap(process)
            process = _start()
            self._all.add(process)
            telemetry.QUERY_ROW_WORKERS.set(len(self._all))
            return process

    def _give_back(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._last_use = time.monotonic()
            if not self._is_closed:
                self._idle.append(process)
                self._tidy_later(self._idle_s)

    def _tidy_later(self, after_s: float) -> None:
        """Look after a while whether anybody still needs workers. Called with the lock held."""
        if self._tidying is None:
            self._tidying = threading.Timer(after_s, self._tidy)
            self._tidying.daemon = True
            self._tidying.start()

    def _tidy(self) -> None:
        for process in self._no_longer_needed():
            process.terminate()
            _reap(process)

    def _no_longer_needed(self) -> list[subprocess.Popen[bytes]]:
        with self._lock:
            self._tidying = None
            if self._is_closed:
                return []
            left_s = self._last_use + self._idle_s - time.monotonic()
            if left_s > 0:
                self._tidy_later(left_s)
                return []
            ended, self._idle = self._idle, []
            self._all.difference_update(ended)
            telemetry.QUERY_ROW_WORKERS.set(len(self._all))
            return ended

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._all.discard(process)
            telemetry.QUERY_ROW_WORKERS.set(len(self._all))
        process.kill()
        _reap(process)


def _start() -> subprocess.Popen[bytes]:
    # -P: nothing in the working directory can take the place of a module.
    command = [sys.executable, "-P", "-m", worker.__name__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  our own program


def _exchange(process: subprocess.Popen[bytes], task: bytes) -> bytes | None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        worker.write_message(process.stdin, task)
        return worker.read_message(process.stdout)
    except (OSError, ValueError):
        return None


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass
