"""The collector as a process: one thread reads, the event loop sends, both stop on SIGTERM."""

from __future__ import annotations

import asyncio
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
from sillok.agent.sources.file import Surroundings
from sillok.agent.sources.files import Files
from sillok.errors import StoreLocked

CHECKPOINT_S = 5.0
STOP_SEND_S = 0.5  # A batch under way may get its answer; if not, it is sent again at the next start.
MAX_OPEN_FILES = 65_536

_log = logging.getLogger("sillok.agent")


def run(settings: AgentSettings) -> int:
    """Collect until SIGTERM or SIGINT; 0 when stopped in order.

    Raises:
        StoreLocked: another collector works with this data folder.
    """
    _raise_file_limit()
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
        own = (f"{settings.data.resolve()}/",)
        families: list[Sources] = [Files(settings.files, settings.host, clock, around, own)]
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

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._custody.open()
        _log.info("collecting to %s", self._settings.target.url)
        sending = asyncio.create_task(self._sender.run())
        collecting = asyncio.create_task(self._collect())
        checkpointing = asyncio.create_task(self._checkpoint())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({sending, collecting, checkpointing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        await collecting
        checkpointing.cancel()
        await asyncio.wait({sending}, timeout=STOP_SEND_S)
        sending.cancel()
        results = await asyncio.gather(sending, checkpointing, return_exceptions=True)
        await asyncio.to_thread(self._custody.close)
        for result in results:
            if isinstance(result, Exception):
                raise result
        _log.info("stopped")

    async def _collect(self) -> None:
        try:
            while not self._stop.is_set():
                spooled = self._custody.spool.last
                has_more = await asyncio.to_thread(self._collector.turn)
                if self._custody.spool.last != spooled:
                    self._sender.wake()
                if not has_more:
                    await self._pause(self._settings.poll_s / 2)
        finally:
            await asyncio.to_thread(self._collector.stop)
            self._sender.wake()

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


def _raise_file_limit() -> None:
    """Every followed file is an open file; most systems allow 1024 until asked for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
