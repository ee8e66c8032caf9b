"""Listening: several addresses, TLS, a bound on connections, and an end within a few seconds.

uvicorn's protocols speak HTTP; accepting and stopping are ours. A connection beyond the bound takes the
place of the one that has been idle longest, or is refused at once when all are at work, so idle
connections do no harm however many there are.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from email.utils import formatdate
from typing import Any, TypeVar

import uvloop
from starlette.types import ASGIApp
from uvicorn.config import Config

from sillok import telemetry
from sillok.errors import ConfigError
from sillok.http.protocol import Census, Connection, Conversation, plain_answer
from sillok.http.settings import Bind, HttpLimits, TlsFiles

BACKLOG = 4096
MAX_OPEN_FILES = 65_536
RESERVED_FILES = 512  # for the store, its merges and everything else that is no connection
TLS_HANDSHAKE_S = 5.0
TLS_SHUTDOWN_S = 1.0
SWEEP_S = 1.0  # at most; a time limit may need it more often
NO_FILES_WAIT_S = 0.05
CANCEL_WAIT_S = 0.5
STOP_LOOK_S = 0.02
PING_S = 20.0
MAX_WEBSOCKET_MESSAGE_BYTES = 64 * 1024  # what clients of a tail send means nothing

_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger("sillok.http")
T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on the event loop that the listener is made for."""
    return uvloop.run(main)


class Listener:
    """Serves one application on several addresses. For one `serve` only."""

    def __init__(self, limits: HttpLimits | None = None) -> None:
        self._limits = limits or HttpLimits()
        self._census = Census(self._limits, max_connections=_raised(self._limits.max_connections))
        self._arriving = 0
        self._arrivals: set[asyncio.Task[None]] = set()

    async def serve(
        self,
        app: ASGIApp,
        binds: Sequence[Bind],
        tls: TlsFiles | None,
        stop: asyncio.Event,
        *,
        listening: Callable[[Sequence[Bind]], None] | None = None,
    ) -> None:
        """Serve until `stop` is set, then end within `stop_timeout_s` and a little.

        `listening` hears of the addresses (with the ports that the system chose) once they are open.

        Raises:
            ConfigError: an address cannot be listened on, or a TLS file cannot be used.
        """
        context = tls_context(tls) if tls is not None else None
        sockets = open_sockets(binds)
        config = self._config(app)
        self._set_date()
        tasks = [asyncio.create_task(self._accept(sock, context, config)) for sock in sockets]
        tasks.append(asyncio.create_task(self._sweep()))
        try:
            if listening is not None:
                listening([_bind_of(sock) for sock in sockets])
            await stop.wait()
        finally:
            for task in (*tasks, *self._arrivals):
                task.cancel()
            for sock in sockets:
                sock.close()
            await asyncio.gather(*tasks, *self._arrivals, return_exceptions=True)
            await self._end()

    def _config(self, app: ASGIApp) -> Config:
        census = self._census

        class OurConversation(Conversation):
            pass

        OurConversation.census = census
        config = Config(
            app,
            ws=OurConversation,
            ws_max_size=MAX_WEBSOCKET_MESSAGE_BYTES,
            ws_ping_interval=PING_S,
            ws_ping_timeout=PING_S,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        # Its own lines (a line a WebSocket, for one) are not ours to have.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        config.load()
        return config

    async def _accept(self, sock: socket.socket, context: ssl.SSLContext | None, config: Config) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(sock)
            except OSError as error:
                await self._after_failed_accept(error)
                continue
            if not self._census.has_room(beside=self._arriving):
                _turn_away(client, is_tls=context is not None)
                await asyncio.sleep(0)
            elif context is None:
                await self._arrive(client, None, config)
            else:
                # A handshake waits for the client, and the others do not wait for it.
                task = asyncio.create_task(self._arrive(client, context, config))
                self._arrivals.add(task)
                task.add_done_callback(self._arrivals.discard)

    async def _arrive(self, client: socket.socket, context: ssl.SSLContext | None, config: Config) -> None:
        self._arriving += 1
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(config, self._census),
                client,
                ssl=context,
                ssl_handshake_timeout=TLS_HANDSHAKE_S if context else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_S if context else None,
            )
        except OSError:
            client.close()  # The client left, or does not speak TLS.
        finally:
            self._arriving -= 1

    async def _after_failed_accept(self, error: OSError) -> None:
        if error.errno not in _NO_FILES:
            return  # The client left before it was accepted.
        telemetry.HTTP_CLOSED.labels("no_files").inc()
        self._census.evict()
        await asyncio.sleep(NO_FILES_WAIT_S)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        limits = self._limits
        shortest_s = min(limits.head_timeout_s, limits.idle_timeout_s, limits.body_window_s, limits.write_timeout_s)
        while True:
            await asyncio.sleep(min(SWEEP_S, shortest_s / 2))
            self._set_date()
            self._census.sweep(loop.time())

    def _set_date(self) -> None:
        self._census.state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]

    async def _end(self) -> None:
        """End idle connections, let answers under way finish for a while, then end all."""
        state = self._census.state
        for connection in list(state.connections):
            connection.shutdown()
        deadline_s = time.monotonic() + self._limits.stop_timeout_s
        # uvicorn's protocols leave these sets by themselves and tell nobody.
        while (state.connections or state.tasks) and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(STOP_LOOK_S)
        for task in list(state.tasks):
            task.cancel()
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=CANCEL_WAIT_S)


def open_sockets(binds: Sequence[Bind]) -> list[socket.socket]:
    """Listening sockets on all addresses of all `binds`.

    Raises:
        ConfigError: one of them cannot be had; none stays open.
    """
    sockets: list[socket.socket] = []
    try:
        for bind in binds:
            sockets += _open(bind)
    except ConfigError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def tls_context(tls: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 and newer with the certificate and key of these files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"TLS: cannot use {tls.certificate} with {tls.key}: {error}") from error
    return context


def _open(bind: Bind) -> list[socket.socket]:
    """One socket for each address that the host's name has (`localhost` has two)."""
    try:
        found = socket.getaddrinfo(
            bind.host or None, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, proto=socket.IPPROTO_TCP
        )
    except OSError as error:
        raise ConfigError(f"cannot listen on {bind.host}:{bind.port}: {error.strerror or error}") from error
    sockets: list[socket.socket] = []
    refused: OSError | None = None
    port = bind.port
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            sock = _listening(family, (str(address[0]), port, *address[2:]))
        except OSError as error:
            refused = error
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # A name may have an address of a family that this machine lacks.
            break
        sockets.append(sock)
        port = sock.getsockname()[1]
    if refused is not None and (not sockets or refused.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)):
        for sock in sockets:
            sock.close()
        raise ConfigError(f"cannot listen on {bind.host}:{bind.port}: {refused.strerror}") from refused
    return sockets


def _listening(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _turn_away(client: socket.socket, *, is_tls: bool) -> None:
    """Refuse without waiting for anything."""
    telemetry.HTTP_CLOSED.labels("too_many").inc()
    try:
        client.setblocking(False)
        if not is_tls:
            client.send(plain_answer(503, "too many connections"))
    except OSError:
        pass
    client.close()


def _bind_of(sock: socket.socket) -> Bind:
    host, port, *_ = sock.getsockname()
    return Bind(host, port)


def _raised(max_connections: int) -> int:
    """`max_connections`, or what the system's limit on open files leaves of it, after raising that limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = MAX_OPEN_FILES if hard == unlimited else min(hard, MAX_OPEN_FILES)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = MAX_OPEN_FILES if soft == unlimited else soft
    possible = max(files - RESERVED_FILES, files // 2)
    if possible < max_connections:
        _log.warning("at most %d connections: the limit on open files (ulimit -n) is %d", possible, files)
    return min(max_connections, possible)
