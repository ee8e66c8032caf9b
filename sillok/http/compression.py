"""Answers compressed with gzip, for clients that ask for it over a network."""

from __future__ import annotations

import asyncio
import ipaddress

import cramjam
from starlette.requests import Request
from starlette.responses import Response

WORTH_BYTES = 16 * 1024
LEVEL = 1  # the lines of a result compress well at any level, and the client waits


async def compressed(request: Request, response: Response) -> Response:
    """`response`, with its body compressed where that pays: a long body, a willing client, a real network."""
    body = bytes(response.body)
    if len(body) < WORTH_BYTES or not _accepts_gzip(request) or _is_local(request):
        return response
    zipped = await asyncio.to_thread(lambda: bytes(cramjam.gzip.compress(body, level=LEVEL)))
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(zipped, response.status_code, {**headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"})


def _accepts_gzip(request: Request) -> bool:
    accepted = request.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return any(one == "gzip" or (one.startswith("gzip;") and one != "gzip;q=0") for one in accepted)


def _is_local(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
