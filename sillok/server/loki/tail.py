"""`GET /loki/api/v1/tail`: live entries over a WebSocket, one JSON frame after another.

Source: Loki pkg/querier/http.go `TailHandler`
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from sillok.errors import SillokError
from sillok.model.timerange import TimeRange
from sillok.server.call import Call
from sillok.server.loki.params import query_params, wants_categories
from sillok.server.services import Services

GOING_AWAY = 1001
INTERNAL_ERROR = 1011
MAX_REASON_BYTES = 123  # of a close frame, RFC 6455 §5.5

_log = logging.getLogger("sillok.server")


@dataclass(frozen=True, slots=True)
class LokiTail:
    services: Services

    async def tail(self, call: Call) -> None:
        """Send frames until the client leaves; what is wrong with the query is said before the upgrade."""
        tenant = call.tenant()
        params = query_params(call.websocket.url.query)
        now_ns = self.services.clock()
        asked: TimeRange = params.time_range(now_ns=now_ns)
        frames = self.services.query.tail(
            tenant,
            params.text("query"),
            start_ns=asked.start_ns,
            limit=params.limit(),
            delay_for_s=params.delay_for_s(),
            categorize=wants_categories(call.websocket),
        )
        await call.websocket.accept()
        await _run(call.websocket, frames)


async def _run(websocket: WebSocket, frames: AsyncIterator[bytes]) -> None:
    sending = asyncio.ensure_future(_send(websocket, frames))
    leaving = asyncio.ensure_future(_left(websocket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send(websocket: WebSocket, frames: AsyncIterator[bytes]) -> None:
    code, reason = GOING_AWAY, ""
    try:
        async for frame in frames:
            await websocket.send_text(frame.decode())
    except SillokError as error:
        code, reason = INTERNAL_ERROR, str(error)
    except WebSocketDisconnect:
        return
    except Exception:
        _log.exception("a bug ended a tail")
        code, reason = INTERNAL_ERROR, "internal error"
    await websocket.close(code, _shortened(reason))


async def _left(websocket: WebSocket) -> None:
    """Return when the client leaves. What it says meanwhile means nothing, as in Loki."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


def _shortened(reason: str) -> str:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
