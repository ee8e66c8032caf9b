"""The collector as a process: one thread reads, the event loop sends, both stop on SIGTERM."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import logging
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sillok
from sillok.agent.clock import LineClock
from sillok.agent.collector import Collector, Sources
from sillok.agent.custody import Custody
from sillok.agent.notices import Notices
from sillok.agent.sender import Sender
from sillok.agent.settings import AgentSettings
from sillok.agent.sources.docker import Containers, DockerWatch
from sillok.agent.sources.file import Surroundings
from sillok.agent.sources.files import Files
from sillok.agent.status import Status
from sillok.errors import StoreLocked

CHECKPOINT_S = 5.0
REPORT_S = 1.0
MAX_STATUS_CONNECTIONS = 64
STOP_SEND_S = 0.5  # A batch under way may get its answer; if not, it is sent again at the next start.
MAX_OPEN_FILES = 65_536
IDLE_TURNS = 8  # After so many turns without work the burst is over.

_M_ARENA_MAX = -8  # malloc.h

_log = logging.getLogger("sillok.agent")


def run(settings: AgentSettings) -> int:
    """Collect until SIGTERM or SIGINT; 0 when stopped in order.

    Raises:
        StoreLocked: another collector works with this data folder.
    """
    _raise_file_limit()
    _keep_memory_small()
    # httpx says a line a request; where our log is watched, that line would be the next request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with _locked(settings.data):
        asyncio.run(_Agent(settings).run())
    return 0


class _Agent:
    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._notices = Notices()
        self._stop = asyncio.Event()
        self._custody = Custody(settings.data, spool_bytes=settings.spool_bytes)
        clock = LineClock()
        around = Surroundings(lambda: self._custody.positions, self._notices, settings.first_sight_bytes)
        own = (f"{settings.data.absolute()}/", f"{settings.data.resolve()}/")
        self._files = Files(settings.files, settings.host, clock, around, own)
        families: list[Sources] = [self._files]
        self._containers: Containers | None = None
        self._docker: DockerWatch | None = None
        if settings.docker is not None:
            self._containers = Containers(settings.docker, settings.host, clock, around)
            self._docker = DockerWatch(settings.docker, self._containers, around)
            families.append(self._containers)
        self._collector = Collector(
            families,
            self._custody,
            self._notices,
            batch_bytes=settings.batch_bytes,
            batch_wait_s=settings.batch_wait_s,
            poll_s=settings.poll_s,
        )
        self._sender = Sender(
            settings.target, self._custody, self._notices, user_agent=f"sillok-agent/{sillok.__version__}"
        )
        self._status = Status(
            self._custody,
            settings.target.url,
            settings.host,
            watched=self._watched,
            last_error=lambda: self._sender.last_error,
            is_paused=lambda: self._collector.is_paused,
            batches=lambda: (self._sender.sent_batches, self._sender.retries),
        )

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._custody.open()
        _log.info("collecting to %s", self._settings.target.url)
        collecting = asyncio.create_task(self._collect())
        sending = asyncio.create_task(self._sender.run())
        tasks = {collecting, sending, asyncio.create_task(self._report()), asyncio.create_task(self._checkpoint())}
        if self._settings.listen is not None:
            tasks.add(asyncio.create_task(self._listen(self._settings.listen)))
        if self._docker is not None:
            tasks.add(asyncio.create_task(self._docker.run()))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        await asyncio.wait({collecting})
        await self._sender.stop(sending, timeout_s=STOP_SEND_S)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._custody.close)
        self._status.write(self._settings.data)
        for result in results:
            if isinstance(result, Exception):
                raise result
        _log.info("stopped")

    def _watched(self) -> dict[str, int]:
        watched = {"files": len(self._files.followed)}
        if self._containers is not None:
            watched["containers"] = self._containers.count
        return watched

    async def _collect(self) -> None:
        try:
            idle_turns = IDLE_TURNS
            while not self._stop.is_set():
                spooled = self._custody.spool.last
                has_more = await asyncio.to_thread(self._collector.turn)
                if self._custody.spool.last != spooled:
                    self._sender.wake()
                idle_turns = 0 if has_more else idle_turns + 1
                if idle_turns == IDLE_TURNS:
                    _give_memory_back()
                if not has_more:
                    await self._pause(self._settings.poll_s / 2)
        finally:
            await asyncio.to_thread(self._collector.stop)
            self._sender.wake()

    async def _report(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._status.write, self._settings.data)
            except OSError as error:
                self._notices.state("status", f"the status file cannot be written: {error}")
            await asyncio.sleep(REPORT_S)

    async def _listen(self, address: str) -> None:
        # Imported here: without a port of its own the collector does not carry an HTTP server.
        from sillok.agent.status import build_app
        from sillok.http.guard import Guard
        from sillok.http.listener import Listener
        from sillok.http.settings import Bind, HttpLimits, ServerSettings

        host, _, port = address.rpartition(":")
        limits = HttpLimits(max_connections=MAX_STATUS_CONNECTIONS, stop_timeout_s=0.5)
        app = build_app(self._status, Guard(ServerSettings()))
        await Listener(limits).serve(app, [Bind(host.strip("[]") or "127.0.0.1", int(port))], None, self._stop)

    async def _checkpoint(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            try:
                await asyncio.to_thread(self._custody.checkpoint)
            except OSError as error:
                self._notices.state("positions", f"the positions cannot be written: {error}; the spool keeps them")
            else:
                self._notices.over("positions", "the positions are written again")

    async def _pause(self, timeout_s: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), timeout_s)
        except TimeoutError:
            pass


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two collectors on one folder would each send what the other read."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "?"
            raise StoreLocked(f"the data folder {folder} is used by another collector (process {holder})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _keep_memory_small() -> None:
    """One pool of memory for all threads: only one of them computes at a time anyway. glibc only."""
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    except (OSError, AttributeError):
        pass


def _give_memory_back() -> None:
    """A burst leaves free memory behind; an idle collector should be as small as before it. glibc only."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass


def _raise_file_limit() -> None:
    """Every followed file is an open file; most systems allow 1024 until asked for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
