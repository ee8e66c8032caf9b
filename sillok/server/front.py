"""The front door: every request passes here once. Guard, credentials, route, errors, metrics, headers.

It is an ASGI application. Nothing is logged for a request that went well: a line that is collected must
not cause another line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from sillok import telemetry
from sillok.errors import Forbidden, Overloaded, SillokError
from sillok.http.credentials import Credentials
from sillok.http.errors import plain
from sillok.http.guard import SECURITY_HEADERS, Guard
from sillok.http.settings import Credential, Role, ServerSettings
from sillok.server.call import Call
from sillok.server.errors import CLIENT_CLOSED_REQUEST, ErrorBody, headers_of, loki_error, status_of

Answer: TypeAlias = Callable[[Call], Awaitable[Response]]
Conversation: TypeAlias = Callable[[Call], Awaitable[None]]

GET = frozenset({"GET", "HEAD"})
POST = frozenset({"POST"})
GET_OR_POST = GET | POST

SWITCHING_PROTOCOLS = 101
# The same error of the server is logged once in this time, with the number that were not.
LOG_EVERY_S = 10.0
PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Scope-OrgID",
    "Access-Control-Max-Age": "600",
}

_SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS]
_log = logging.getLogger("sillok.server")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the route table. `path` may have one `{name}`; `role` None is open to everybody."""

    path: str
    methods: frozenset[str]
    answer: Answer
    role: Role | None
    error: ErrorBody = loki_error


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """A route for WebSockets."""

    path: str
    converse: Conversation
    role: Role
    error: ErrorBody = loki_error


class Front:
    """Finds the route and walks a request through the door. See the module."""

    def __init__(
        self,
        routes: Sequence[Route],
        sockets: Sequence[SocketRoute],
        *,
        settings: ServerSettings,
        find_page: Callable[[Request], Answer | None],
    ) -> None:
        self._exact: dict[str, list[Route]] = {}
        self._named: list[Route] = []
        for route in routes:
            if "{" in route.path:
                self._named.append(route)
            else:
                self._exact.setdefault(route.path, []).append(route)
        self._sockets: Mapping[str, SocketRoute] = {route.path: route for route in sockets}
        self._settings = settings
        self._guard = Guard(settings)
        self._credentials = Credentials(settings.credentials)
        self._find_page = find_page
        self._open_sockets = 0
        self._faults = _Faults()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(Request(scope, receive), send)
            case "websocket":
                await self._websocket(WebSocket(scope, receive, send))
            case "lifespan":
                await _lifespan(receive, send)

    async def _http(self, request: Request, send: Send) -> None:
        started = time.perf_counter()
        route, name = self._find(request)
        status = CLIENT_CLOSED_REQUEST
        try:
            response = await self._answer(request, route, name)
            status = response.status_code
            await response(request.scope, request.receive, _with_headers(send, self._extra_headers(request)))
        except ClientDisconnect:
            status = CLIENT_CLOSED_REQUEST
        finally:
            telemetry.HTTP_SECONDS.labels(route.path if route else "other", str(status)).observe(
                time.perf_counter() - started
            )

    async def _answer(self, request: Request, route: Route | None, name: str) -> Response:
        try:
            self._check_guard(request)
            if route is None:
                return self._no_route(request)
            if request.method not in route.methods:
                return self._wrong_method(request)
            credential = await self._let_in(request, route.role)
            return await route.answer(Call(request, credential, self._settings, name))
        except SillokError as error:
            return self._refuse(request, error, route.error if route else loki_error)
        except ClientDisconnect:
            raise
        except Exception:
            _log.exception("a bug ended a request for %s", route.path if route else "an unknown path")
            return (route.error if route else loki_error)(request, 500, "internal error", {})

    async def _websocket(self, websocket: WebSocket) -> None:
        route = self._sockets.get(websocket.url.path)
        status = SWITCHING_PROTOCOLS
        started = time.perf_counter()
        try:
            self._check_guard(websocket)
            if route is None:
                status = 404
                await websocket.send_denial_response(plain(404, "404 page not found"))
                return
            credential = await self._let_in(websocket, route.role)
            await self._converse(websocket, route, credential)
        except SillokError as error:
            response = self._refuse(websocket, error, route.error if route else loki_error)
            status = response.status_code
            await websocket.send_denial_response(response)
        except Exception:
            status = 500
            _log.exception("a bug ended a WebSocket")
            raise
        finally:
            telemetry.HTTP_SECONDS.labels(route.path if route else "other", str(status)).observe(
                time.perf_counter() - started
            )

    async def _converse(self, websocket: WebSocket, route: SocketRoute, credential: Credential | None) -> None:
        if self._open_sockets >= self._settings.limits.max_websockets:
            raise Overloaded("too many WebSockets are open", retry_after_s=1.0)
        self._open_sockets += 1
        telemetry.HTTP_WEBSOCKETS.inc()
        try:
            await route.converse(Call(websocket, credential, self._settings))
        finally:
            self._open_sockets -= 1
            telemetry.HTTP_WEBSOCKETS.dec()

    def _find(self, request: Request) -> tuple[Route | None, str]:
        """The route of a path, and what stands for its `{name}`. Of two for one path, the one with the method."""
        path = request.url.path
        same_path = self._exact.get(path)
        if same_path is not None:
            fits = (route for route in same_path if request.method in route.methods)
            return next(fits, same_path[0]), ""
        for route in self._named:
            before, _, after = route.path.partition("{name}")
            name = path[len(before) : len(path) - len(after)]
            if path.startswith(before) and path.endswith(after) and name and "/" not in name:
                return route, name
        page = self._find_page(request)
        return (Route("/", GET, page, Role.READ), "") if page is not None else (None, "")

    def _check_guard(self, connection: HTTPConnection) -> None:
        server = connection.scope.get("server")
        self._guard.check(connection.headers, local_address=str(server[0]) if server else "")

    async def _let_in(self, connection: HTTPConnection, role: Role | None) -> Credential | None:
        """The credential of the sender; None when the server has none, or the route needs none."""
        if not self._credentials or role is None:
            return None
        credential = await self._credentials.verify(connection.headers.get("authorization"))
        if role not in credential.roles and Role.ADMIN not in credential.roles:
            raise Forbidden(f"credential {credential.name!r} may not {role.value}")
        return credential

    def _refuse(self, connection: HTTPConnection, error: SillokError, body: ErrorBody) -> Response:
        status = status_of(error)
        if status >= 500:
            self._faults.log(error)
        return body(connection, status, str(error), headers_of(error, asks_for_credentials=bool(self._credentials)))

    def _no_route(self, request: Request) -> Response:
        if request.url.path in self._sockets:
            return plain(400, "Bad Request", {"Sec-Websocket-Version": "13"})
        return self._preflight(request) or plain(404, "404 page not found")

    def _wrong_method(self, request: Request) -> Response:
        allowed = {method for route in self._exact.get(request.url.path, ()) for method in route.methods}
        headers = {"Allow": ", ".join(sorted(allowed))} if allowed else {}
        return self._preflight(request) or Response(status_code=405, headers=headers)

    def _preflight(self, request: Request) -> Response | None:
        """A browser asks whether a page of a configured origin may send what it wants to send."""
        if request.method != "OPTIONS" or not self._guard.allows_origin(request.headers.get("origin", "")):
            return None
        return Response(status_code=204, headers=PREFLIGHT_HEADERS)

    def _extra_headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        origin = request.headers.get("origin")
        if origin is None or not self._guard.allows_origin(origin):
            return _SECURITY_HEADERS
        cors = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
        return [*_SECURITY_HEADERS, *cors]


class _Faults:
    """Logs errors that are the server's, but not one line for each push that meets the same one."""

    def __init__(self) -> None:
        self._next_s: dict[type[SillokError], float] = {}
        self._unlogged: dict[type[SillokError], int] = {}

    def log(self, error: SillokError) -> None:
        kind, now_s = type(error), time.monotonic()
        if now_s < self._next_s.get(kind, 0.0):
            self._unlogged[kind] = self._unlogged.get(kind, 0) + 1
            return
        self._next_s[kind] = now_s + LOG_EVERY_S
        before = self._unlogged.pop(kind, 0)
        _log.error("%s: %s%s", kind.__name__, error, f" ({before} more like it before)" if before else "")


def _with_headers(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return sending


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing to start or stop: the command line owns the services."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
