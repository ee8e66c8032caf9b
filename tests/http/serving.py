"""A listener on a free port of loopback, and raw sockets to treat it badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from sillok.http.listener import Listener
from sillok.http.settings import Bind, HttpLimits, TlsFiles


@dataclass
class Serving:
    binds: list[Bind]
    stop: asyncio.Event
    done: asyncio.Task[None]
    raws: list[Raw] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.binds[0].port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> Raw:
        self.raws.append(Raw(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.raws[-1]


@dataclass
class Raw:
    """One connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def ends(self) -> bool:
        """Whether the other side ended the connection, after whatever it still said."""
        try:
            await self.reader.read()
        except ConnectionResetError:
            pass
        return self.is_over()

    def is_over(self) -> bool:
        return self.reader.at_eof() or self.reader.exception() is not None

    async def close(self) -> None:
        self.writer.transport.abort()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass


@asynccontextmanager
async def serving(
    app: ASGIApp | None = None,
    *,
    limits: HttpLimits | None = None,
    tls: TlsFiles | None = None,
    binds: tuple[Bind, ...] = (Bind("127.0.0.1", 0),),
) -> AsyncIterator[Serving]:
    stop = asyncio.Event()
    opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(Listener(limits).serve(app or Echo(), binds, tls, stop, listening=opened.set_result))
    await asyncio.wait([opened, task], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    one = Serving(list(opened.result()), stop, task)
    try:
        yield one
    finally:
        stop.set()
        await task
        for raw in one.raws:
            await raw.close()


class Echo:
    """`/` greets, `/size` counts the body, `/big` says a lot, `/slow` waits, `/bug` fails; `/ws` greets and waits."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.chunks: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._greet(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        match scope["path"]:
            case "/size":
                self.chunks = [len(chunk) async for chunk in request.stream()]
                text = str(sum(self.chunks))
            case "/slow":
                self.started.set()
                await self.release.wait()
                text = "at last"
            case "/bug":
                raise ZeroDivisionError("a bug")
            case "/big":
                text = "x" * 50_000_000
            case _:
                text = "hello"
        await PlainTextResponse(text)(scope, receive, send)

    async def _greet(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        self.started.set()
        if websocket.url.path == "/ws/flood":
            while True:
                await websocket.send_text("x" * 100_000)
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
