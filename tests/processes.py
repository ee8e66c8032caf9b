"""Programs that tests start: one object a process, its output in a file, never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.05


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(found: Callable[[], T], *, timeout_s: float, what: str) -> T:
    """The first true value of `found()`; an error that names `what` when none comes in time."""
    end = time.monotonic() + timeout_s
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s:g} s for {what}; last seen: {value!r}")
        time.sleep(POLL_S)


class Process:
    """A running program in a session of its own; standard output and error go to `log`."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def check_running(self) -> None:
        if self.returncode is not None:
            raise AssertionError(f"{self.command} ended with {self.returncode}:\n{self.output()[-4000:]}")

    def wait_for(self, found: Callable[[], T], *, timeout_s: float, what: str) -> T:
        """`wait_until`, but an error at once when the program ends meanwhile."""

        def look() -> T:
            self.check_running()
            return found()

        try:
            return wait_until(look, timeout_s=timeout_s, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()[-4000:]}") from None

    def stop(self, *, timeout_s: float = 5.0, by: signal.Signals = signal.SIGTERM) -> float:
        """Ask the program to stop; the seconds it took. Fails when it takes longer than `timeout_s`."""
        begin = time.monotonic()
        self._popen.send_signal(by)
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            text = f"{self.command} still ran {timeout_s:g} s after {by.name}:\n{self.output()[-4000:]}"
            raise AssertionError(text) from None
        return time.monotonic() - begin

    def kill(self) -> None:
        """End the program and everything it started, at once."""
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._popen.wait()


def tree(pid: int) -> list[int]:
    """`pid` and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, open_ = [], [pid]
    while open_:
        one = open_.pop()
        found.append(one)
        open_ += children.get(one, [])
    return found
