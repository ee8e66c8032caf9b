"""HTTP/1.1 on one connection, with bounds: uvicorn's protocol, and what it leaves to a proxy in front.

Added to uvicorn's: a bound on the bytes of a request's head, time limits for heads, bodies, answers and
idle connections, a bound on pipelined requests, bodies without copies, and an end of the connection that
lets a client read why its body was refused.

Source: uvicorn/protocols/http/httptools_impl.py, whose names the overridden methods keep.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict, deque
from enum import Enum
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from sillok import telemetry
from sillok.http.settings import HttpLimits

BODY_HIGH_WATER_BYTES = 256 * 1024  # of a body that the application has not asked for yet
MAX_PIPELINED = 32
# How long a client may go on sending a body that was refused, so that it comes to reading the answer.
LINGER_S = 2.0

_log = logging.getLogger("sillok.http")


class Phase(Enum):
    """What a connection waits for; the value is the reason of its end when it waits too long."""

    FIRST_BYTE = "silent"
    HEAD = "slow_head"
    IDLE = "idle"
    BODY = "slow_body"
    ANSWER = "answer"
    LINGER = "linger"


class Census:
    """All connections of a listener, the idle ones in the order in which they became idle."""

    def __init__(self, limits: HttpLimits, *, max_connections: int) -> None:
        self.limits = limits
        self.state = ServerState()
        self._max_connections = max_connections
        self._idle: OrderedDict[Connection, None] = OrderedDict()

    def has_room(self, *, beside: int = 0) -> bool:
        """Whether one more connection may come in, `beside` others that are on their way.

        When all places are taken, the connection that has been idle longest gives up its own.
        """
        if len(self.state.connections) + beside < self._max_connections:
            return True
        return self.evict()

    def evict(self) -> bool:
        """End the connection that has been idle longest. False when all are at work."""
        for connection in self._idle:
            connection.end("evicted")
            return True
        return False

    def idles(self, connection: Connection) -> None:
        self._idle[connection] = None
        self._idle.move_to_end(connection)

    def works(self, connection: Connection) -> None:
        self._idle.pop(connection, None)

    def sweep(self, now_s: float) -> None:
        """End the connections that are over a time limit. Called about once a second."""
        for connection in list(self.state.connections):
            if isinstance(connection, Connection | Conversation):
                connection.check_time(now_s)
        telemetry.HTTP_CONNECTIONS.set(len(self.state.connections))


class _SlowReader:
    """Whether a client takes what is written to it."""

    def __init__(self, write_timeout_s: float) -> None:
        self._timeout_s = write_timeout_s
        self._pending = 0
        self._deadline_s = math.inf

    def is_stuck(self, pending: int, now_s: float) -> bool:
        """`pending` bytes wait to be sent; they must get fewer within the time limit."""
        if pending == 0 or pending < self._pending or self._deadline_s == math.inf:
            self._deadline_s = now_s + self._timeout_s
        self._pending = pending
        return pending > 0 and now_s > self._deadline_s


class Exchange(RequestResponseCycle):
    """A request and its answer. The body is handed on in the pieces it came in."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._chunks: deque[bytes] = deque()
        self.waiting_bytes = 0
        self.must_close = False

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.waiting_bytes += len(chunk)
        self.message_event.set()

    async def run_asgi(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            _log.exception("a bug ended a request")
            if not self.response_started:
                await self.send_500_response()
        finally:
            self.on_response = lambda: None
            if not self.response_complete and not self.disconnected:
                self.transport.abort()

    async def receive(self) -> Any:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        chunk = self._chunks.popleft() if self._chunks else b""
        self.waiting_bytes -= len(chunk)
        if self._chunks:
            self.message_event.set()
        return {"type": "http.request", "body": chunk, "more_body": self.more_body or bool(self._chunks)}

    async def send(self, message: Any) -> None:
        if message["type"] != "http.response.start" or not self.more_body:
            await super().send(message)
            return
        # The body is not read to its end: say that the connection ends, but leave the ending to `Connection`.
        self.must_close = True
        message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await super().send(message)
        self.keep_alive = True


class Connection(HttpToolsProtocol):
    """One HTTP connection within the limits of its listener."""

    cycle: Exchange

    def __init__(self, config: Config, census: Census) -> None:
        super().__init__(config, census.state, {})
        self._census = census
        self._limits = census.limits
        self._reader = _SlowReader(census.limits.write_timeout_s)
        self._phase = Phase.FIRST_BYTE
        self._deadline_s = self.loop.time() + self._limits.head_timeout_s
        self._head_bytes = 0  # of this request's target, headers and trailers
        self._loose_bytes = 0  # that came and are not yet part of anything complete
        self._body_bytes = 0  # in this window
        self._is_ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._census.idles(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended = True
        self._census.works(self)
        super().connection_lost(exc)

    # What comes in.

    def data_received(self, data: bytes) -> None:
        if self._is_ended:
            return
        if self._phase in (Phase.IDLE, Phase.FIRST_BYTE):
            self._begin_head()
        self._loose_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if not self._refuse_large_head() and self._should_upgrade():
                self._census.works(self)
                self.handle_websocket_upgrade()
        except httptools.HttpParserError:
            self._refuse(400, "invalid HTTP request")
        else:
            self._refuse_large_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        if self._head_bytes <= self._limits.max_header_bytes:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + len(": \r\n")
        if self._head_bytes <= self._limits.max_header_bytes:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._loose_bytes = 0
        if self._head_bytes > self._limits.max_header_bytes or self._is_ended:
            return
        http_version = self.parser.get_http_version()
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = http_version
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(429, "too many pipelined requests")
            return
        url = httptools.parse_url(self.url)
        self.scope["path"] = unquote(url.path.decode("ascii"))
        self.scope["raw_path"] = url.path
        self.scope["query_string"] = url.query or b""
        self._begin_body()
        self._enqueue(
            Exchange(
                scope=self.scope,
                transport=self.transport,
                flow=self.flow,
                logger=self.logger,
                access_logger=self.access_logger,
                access_log=False,
                default_headers=self.server_state.default_headers,
                message_event=asyncio.Event(),
                expect_100_continue=self.expect_100_continue,
                keep_alive=http_version != "1.0" and self.parser.should_keep_alive(),
                on_response=self.on_response_complete,
            )
        )

    def on_body(self, body: bytes) -> None:
        self._loose_bytes = 0
        self._body_bytes += len(body)
        if self._is_ended or self.cycle is None or self.cycle.response_complete:
            return
        self.cycle.add(body)
        if self.cycle.waiting_bytes > BODY_HIGH_WATER_BYTES:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        self._loose_bytes = 0
        if self._is_ended or self.cycle is None or (self.parser.should_upgrade() and self._should_upgrade()):
            return
        if self.cycle.response_complete:
            self.cycle.more_body = False
            self._end_if_promised()
            return
        super().on_message_complete()
        self._wait(Phase.ANSWER, math.inf)

    def on_response_complete(self) -> None:
        if self.cycle.more_body and self.cycle.response_complete:
            self.flow.resume_reading()
            self._wait(Phase.LINGER, LINGER_S)
            return
        if self.pipeline:
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        if not self._end_if_promised() and not self.transport.is_closing():
            self._census.idles(self)
            self._wait(Phase.IDLE, self._limits.idle_timeout_s)

    # What takes too long.

    def check_time(self, now_s: float) -> None:
        """End this connection if it is over a time limit."""
        if self._reader.is_stuck(self.transport.get_write_buffer_size(), now_s):
            self._abort("slow_reader")
        elif now_s > self._deadline_s:
            self._overdue()

    def end(self, reason: str) -> None:
        """End this connection now; nothing is under way on it."""
        self._abort(reason)

    def _overdue(self) -> None:
        match self._phase:
            case Phase.BODY if self._body_bytes >= self._limits.min_body_bytes or self.flow.read_paused:
                self._begin_body()
            case Phase.BODY if self.cycle.response_started:
                self._abort(Phase.BODY.value)
            case Phase.HEAD | Phase.BODY:
                telemetry.HTTP_CLOSED.labels(self._phase.value).inc()
                self._refuse(408, "the request took too long")
            case _:
                self._abort(self._phase.value)

    # Where the connection stands.

    def _begin_head(self) -> None:
        self._unset_keepalive_if_required()
        self._wait(Phase.HEAD, self._limits.head_timeout_s)

    def _begin_body(self) -> None:
        self._census.works(self)
        self._body_bytes = 0
        self._wait(Phase.BODY, self._limits.body_window_s)

    def _wait(self, phase: Phase, for_s: float) -> None:
        self._phase = phase
        self._deadline_s = self.loop.time() + for_s

    def _enqueue(self, exchange: Exchange) -> None:
        before, self.cycle = self.cycle, exchange
        if before is None or before.response_complete:
            self._start_asgi_task(exchange, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))

    def _end_if_promised(self) -> bool:
        if self.cycle.must_close:
            self.transport.close()
        return self.cycle.must_close

    def _refuse_large_head(self) -> bool:
        limit = self._limits.max_header_bytes
        is_large = max(self._loose_bytes, self._head_bytes) > limit
        if is_large:
            self._refuse(431, f"request header too large: limit {limit} bytes")
        return is_large

    def _refuse(self, status: int, text: str) -> None:
        """Answer without the application, and end the connection."""
        self._is_ended = True
        self._census.works(self)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(plain_answer(status, text))
        self.transport.close()

    def _abort(self, reason: str) -> None:
        self._is_ended = True
        self._census.works(self)
        telemetry.HTTP_CLOSED.labels(reason).inc()
        self.transport.abort()


class Conversation(WebSocketsSansIOProtocol):
    """One WebSocket. A client that does not read is sent away; pings find those that are gone."""

    census: Census

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._reader = _SlowReader(self.census.limits.write_timeout_s)

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # The upgrade was refused with an answer; uvicorn would log that as a fault of ours.
            self.handshake_complete = True

    def check_time(self, now_s: float) -> None:
        if self._reader.is_stuck(self.transport.get_write_buffer_size(), now_s):
            telemetry.HTTP_CLOSED.labels("slow_reader").inc()
            self.transport.abort()


_PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


def plain_answer(status: int, text: str) -> bytes:
    """A whole answer, in plain text, that ends the connection."""
    body = text.encode() + b"\n"
    head = b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: %d\r\n" % (status, _PHRASES[status], len(body))
    return head + b"content-type: text/plain; charset=utf-8\r\n\r\n" + body
