"""Bodies: every encoding, and those that are made to hurt."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib

import cramjam
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from sillok.errors import BadRequest, BodyTooLarge, Overloaded
from sillok.http.body import MAX_GZIP_MEMBERS, BodyReader, decompress, unsnap
from sillok.http.settings import MIB, HttpLimits

RAW_DEFLATE = zlib.compressobj(wbits=-15)

ENCODERS = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": lambda body: bytes(cramjam.zstd.compress(body)),
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
}


@given(body=st.binary(max_size=5000), encoding=st.sampled_from(sorted(ENCODERS)))
def test_what_was_encoded_is_decoded(body: bytes, encoding: str) -> None:
    assert decompress(ENCODERS[encoding](body), encoding, max_bytes=5000) == body


def test_deflate_is_also_taken_raw_and_snappy_also_framed() -> None:
    raw = zlib.compressobj(wbits=-15)
    body = b"to be or not to be " * 100

    assert decompress(raw.compress(body) + raw.flush(), "deflate", max_bytes=MIB) == body
    assert decompress(bytes(cramjam.snappy.compress(body)), "snappy", max_bytes=MIB) == body


def test_a_gzip_body_may_have_several_members_but_not_any_number() -> None:
    two = gzip.compress(b"one ") + gzip.compress(b"two")
    too_many = gzip.compress(b"") * (MAX_GZIP_MEMBERS + 1)

    assert decompress(two, "gzip", max_bytes=MIB) == b"one two"
    with pytest.raises(BadRequest, match="gzip members"):
        decompress(too_many, "gzip", max_bytes=MIB)


@pytest.mark.parametrize("encoding", sorted(set(ENCODERS) - {"identity"}))
def test_one_byte_over_the_limit_is_too_large(encoding: str) -> None:
    body = ENCODERS[encoding](b"x" * 10_001)

    assert len(decompress(body, encoding, max_bytes=10_001)) == 10_001
    with pytest.raises(BodyTooLarge, match="limit 10000 bytes"):
        decompress(body, encoding, max_bytes=10_000)


@pytest.mark.parametrize("encoding", sorted(set(ENCODERS) - {"identity"}))
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_body_is_a_bad_request(encoding: str, damage: str) -> None:
    whole = ENCODERS[encoding](b"some text that is long enough" * 20)
    body = {"cut": whole[: len(whole) // 2], "garbage": b"\xf1" * 50, "empty": b""}[damage]

    with pytest.raises((BadRequest, BodyTooLarge)):
        decompress(body, encoding, max_bytes=MIB)


def test_an_encoding_that_nobody_knows_is_named() -> None:
    with pytest.raises(BadRequest, match='Content-Encoding "br" not supported'):
        decompress(b"x", "br", max_bytes=10)


def test_a_snappy_block_that_announces_gigabytes_is_refused_before_a_byte_is_written() -> None:
    with pytest.raises(BodyTooLarge):
        unsnap(b"\xff\xff\xff\xff\x0f", max_bytes=128 * MIB)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
def test_a_zip_bomb_takes_no_more_memory_than_its_limit(encoding: str) -> None:
    script = f"""
import resource, sys
from sillok.errors import BodyTooLarge
from sillok.http.body import decompress
body = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decompress(body, {encoding!r}, max_bytes=8 << 20)
except BodyTooLarge:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    bomb = ENCODERS[encoding](bytes(300 * MIB))
    if encoding == "snappy":  # the announced length lies
        bomb = b"\x80\x80\x80\x04" + bomb[5:]
        script = script.replace("BodyTooLarge:", "Exception:")

    ran = subprocess.run([sys.executable, "-c", script], input=bomb, capture_output=True, check=True)

    assert int(ran.stdout) < 32 * 1024  # KiB


def test_what_a_body_may_decompress_to_grows_with_it_up_to_a_bound() -> None:
    reader = BodyReader(HttpLimits(max_decompression_ratio=100, max_decompressed_bytes=50 * MIB))

    assert reader.allowed_bytes(b"") == 4 * MIB
    assert reader.allowed_bytes(bytes(100_000)) == 10_000_000
    assert reader.allowed_bytes(bytes(MIB)) == 50 * MIB


class Reading:
    """An application that reads bodies of at most 1,000 bytes, 1,500 together."""

    def __init__(self) -> None:
        self.reader = BodyReader(HttpLimits(max_bodies_in_memory_bytes=1500))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            async with self.reader.read(request, max_bytes=1000) as body:
                text = f"{len(body)} {self.reader.held_bytes}"
                if request.url.path == "/nested":
                    async with self.reader.read(_copy(request, body), max_bytes=1000):
                        text = "both"
            answer: Response = PlainTextResponse(text)
        except BodyTooLarge as error:
            answer = PlainTextResponse(str(error), 413)
        except Overloaded as error:
            answer = PlainTextResponse(str(error), 429)
        await answer(scope, receive, send)


def _copy(request: Request, body: bytes) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_bodies_are_counted_announced_or_not() -> None:
    app = Reading()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        fits = await client.post("/", content=b"x" * 1000)
        announced = await client.post("/", content=b"x" * 1001)
        chunked = await client.post("/", content=_chunks(20, 100))
        together = await client.post("/nested", content=b"x" * 1000)

    assert (fits.status_code, fits.text) == (200, "1000 1000")
    assert (announced.status_code, announced.text) == (413, "request body too large: limit 1000 bytes")
    assert chunked.status_code == 413
    assert (together.status_code, together.text) == (429, "too many bodies at once")
    assert app.reader.held_bytes == 0


async def _chunks(count: int, size: int):  # type: ignore[no-untyped-def]
    for _ in range(count):
        yield b"x" * size
