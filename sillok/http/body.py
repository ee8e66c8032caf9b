"""Reading a request's body and undoing its Content-Encoding, both within bounds.

Nothing here ever holds more than its bound: the body is counted while it arrives, and a decompressor
writes into a space of the allowed size only. All bodies in memory together have a bound as well.

Source: Loki pkg/loghttp/push/push.go (gzip, deflate, snappy); zstd is ours.
"""

from __future__ import annotations

import asyncio
import mmap
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TypeVar

import cramjam
from starlette.requests import ClientDisconnect, Request

from sillok.errors import BadRequest, BodyTooLarge, Overloaded
from sillok.http.settings import MIB, HttpLimits

# Below this, decoding costs less than the way to a thread and back.
WORTH_A_THREAD_BYTES = 32 * 1024
# What a small body may decompress to, whatever the ratio.
RATIO_FLOOR_BYTES = 4 * MIB
BODIES_FULL_RETRY_S = 1.0
# A gzip body may be several in a row. Each costs a copy of the rest, so not as many as one likes.
MAX_GZIP_MEMBERS = 16

_FRAMED_SNAPPY = b"\xff\x06\x00\x00sNaPpY"
_GZIP = b"\x1f\x8b"
_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_RAW_DEFLATE_WBITS = -15

T = TypeVar("T")


class BodyReader:
    """Reads bodies; knows how many bytes of them are held right now."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    @asynccontextmanager
    async def read(self, request: Request, *, max_bytes: int) -> AsyncIterator[bytes]:
        """The body as it came; it counts against the bound on all bodies until the block ends.

        Raises:
            BodyTooLarge: more than `max_bytes`. A body that announces it is not read at all.
            Overloaded: the bodies of all requests together are over their bound.
            ClientDisconnect: the client left before the end of its body.
        """
        _check_announced(request, max_bytes)
        held = 0
        chunks: list[bytes] = []
        try:
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk = message.get("body", b"")
                more = message.get("more_body", False)
                held += len(chunk)
                self._held_bytes += len(chunk)
                if held > max_bytes:
                    raise _too_large(max_bytes)
                if self._held_bytes > self._limits.max_bodies_in_memory_bytes:
                    raise Overloaded("too many bodies at once", retry_after_s=BODIES_FULL_RETRY_S)
                chunks.append(chunk)
            yield chunks[0] if len(chunks) == 1 else b"".join(chunks)
        finally:
            self._held_bytes -= held

    def decompress(self, body: bytes, encoding: str) -> bytes:
        """`body` without this Content-Encoding, within the listener's bounds. Blocks."""
        return decompress(body, encoding, max_bytes=self.allowed_bytes(body))

    def unsnap(self, body: bytes) -> bytes:
        """The content of one raw snappy block, within the listener's bounds. Blocks."""
        return unsnap(body, max_bytes=self.allowed_bytes(body))

    def allowed_bytes(self, body: bytes) -> int:
        """How many bytes `body` may decompress to."""
        by_ratio = max(RATIO_FLOOR_BYTES, self._limits.max_decompression_ratio * len(body))
        return min(by_ratio, self._limits.max_decompressed_bytes)


async def beside_the_loop(body: bytes, work: Callable[[], T]) -> T:
    """`work()`, on a thread when `body` is large enough to hold up the event loop."""
    if len(body) < WORTH_A_THREAD_BYTES:
        return work()
    return await asyncio.to_thread(work)


def decompress(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """`body` without its Content-Encoding; never writes more than `max_bytes`.

    `snappy` is framed or one raw block, whichever the body is.

    Raises:
        BadRequest: the encoding is not known, or the body is not in it.
        BodyTooLarge: the content is longer than `max_bytes`.
    """
    match encoding:
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            if not body.startswith(_GZIP):
                raise BadRequest("gzip: invalid header")
            return _inflate(body, _GZIP_WBITS, max_bytes=max_bytes)
        case "deflate":
            return _inflate(body, _deflate_wbits(body), max_bytes=max_bytes)
        case "zstd":
            return _into(cramjam.zstd, body, max_bytes=max_bytes)
        case "snappy":
            if body.startswith(_FRAMED_SNAPPY):
                return _into(cramjam.snappy, body, max_bytes=max_bytes)
            return unsnap(body, max_bytes=max_bytes)
    raise BadRequest(f'Content-Encoding "{encoding}" not supported')


def unsnap(body: bytes, *, max_bytes: int) -> bytes:
    """The content of one raw snappy block. It announces its length, which is checked before a byte is written."""
    try:
        announced = cramjam.snappy.decompress_raw_len(body)
        if announced > max_bytes:
            raise _too_large(max_bytes)
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        raise BadRequest("snappy: corrupt input") from None


def _check_announced(request: Request, max_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"request body too large: limit {max_bytes} bytes")


def _deflate_wbits(body: bytes) -> int:
    """HTTP's deflate is zlib by the book and raw in practice (Go's clients); a zlib header tells."""
    is_zlib = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _ZLIB_WBITS if is_zlib else _RAW_DEFLATE_WBITS


def _inflate(body: bytes, wbits: int, *, max_bytes: int) -> bytes:
    """All members of a gzip body, or one deflate stream."""
    parts: list[bytes] = []
    room = max_bytes
    rest = body
    while rest or not parts:
        if len(parts) == MAX_GZIP_MEMBERS:
            raise BadRequest(f"the body has more than {MAX_GZIP_MEMBERS} gzip members")
        inflater = zlib.decompressobj(wbits)
        try:
            part = inflater.decompress(rest, room + 1)
        except zlib.error as error:
            raise BadRequest(f"the body is not what its Content-Encoding says: {error}") from None
        room -= len(part)
        if room < 0:
            raise _too_large(max_bytes)
        if not inflater.eof:
            raise BadRequest("unexpected EOF")
        parts.append(part)
        rest = inflater.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _into(codec: ModuleType, body: bytes, *, max_bytes: int) -> bytes:
    """Decompress into a mapping of `max_bytes`: pages that are not written cost nothing."""
    with mmap.mmap(-1, max_bytes) as space, memoryview(space) as view:
        try:
            written = codec.decompress_into(body, view)
        except cramjam.DecompressionError as error:
            if "failed to write whole buffer" in str(error):
                raise _too_large(max_bytes) from None
            raise BadRequest(f"the body is not what its Content-Encoding says: {error}") from None
        return bytes(view[:written])
