"""The server as a process: listens at once, opens the store beside the event loop, ends in order."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from sillok.cli.exits import Exit
from sillok.cli.house import House, tls_of
from sillok.config.sillok import show_address
from sillok.errors import ConfigError, SillokError
from sillok.http.listener import Listener
from sillok.http.settings import Bind

STOP_S = 4.6  # of the five seconds promised; acknowledged lines are on disk, whatever is still open then
SAME_WISH_S = 1.0  # wrappers pass on the Ctrl-C that the terminal sent to everybody already
RETRY_STARTING_S = 1

_log = logging.getLogger("sillok.serve")


async def serve(house: House, binds: Sequence[Bind]) -> Exit:
    """Serve until a signal asks to stop.

    Raises:
        SillokError: it could not be started.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    doorway = _Doorway()
    opening: asyncio.Task[None] | None = None

    def begin(open_binds: Sequence[Bind]) -> None:
        nonlocal opening
        opening = asyncio.create_task(_open(house, doorway, stop))
        scheme = "http" if tls_of(house.effective.settings) is None else "https"
        for bind in open_binds:
            _log.info("listening on %s://%s", scheme, show_address(bind.host, bind.port))

    listener = Listener(house.settings.limits)
    try:
        await listener.serve(doorway, binds, tls_of(house.effective.settings), stop, listening=begin)
    except ConfigError as error:
        raise _port_taken(error) from error
    finally:
        if opening is not None:
            await asyncio.wait([opening])
            await house.close()
    if opening is not None:
        opening.result()
    _log.info("stopped")
    return Exit.OK


async def _open(house: House, doorway: _Doorway, stop: asyncio.Event) -> None:
    try:
        doorway.app = await house.open()
        _log.info("ready")
    except BaseException:
        stop.set()
        raise


class _Doorway:
    """Answers that Sillok is starting until the application is there, and is the application then."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await _say_starting(send, "http.response")
        elif scope["type"] == "websocket":
            await receive()
            await _say_starting(send, "websocket.http.response")


async def _say_starting(send: Send, kind: str) -> None:
    body = b"Sillok is starting: the store is being opened\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(RETRY_STARTING_S).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": f"{kind}.start", "status": 503, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    asked_s: float | None = None

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked_s
        if asked_s is not None:
            if loop.time() - asked_s > SAME_WISH_S:
                os._exit(128 + number)  # Asked twice: whoever asks is in a hurry.
            return
        asked_s = loop.time()
        _log.info("%s: stopping", number.name)
        stop.set()
        bound = threading.Timer(STOP_S, _stop_now)
        bound.daemon = True
        bound.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


def _stop_now() -> None:
    _log.warning("something did not end within %.1f s and is left behind; all acknowledged lines are on disk", STOP_S)
    sys.stderr.flush()
    os._exit(Exit.OK)


def _port_taken(error: ConfigError) -> SillokError:
    """A text that says what to do, where the reason is a port that is in use."""
    reason = error.__cause__
    if not isinstance(reason, OSError):
        return error
    if reason.errno == errno.EADDRINUSE:
        return SillokError(
            f"{error}: another program listens there, perhaps another Sillok or Loki. "
            "Stop it, or choose another address, for example --listen 127.0.0.1:3101"
        )
    if reason.errno == errno.EACCES:
        return SillokError(f"{error}: ports below 1024 need root; choose another with --listen")
    return error
