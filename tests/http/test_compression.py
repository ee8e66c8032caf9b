"""Which answers are compressed."""

from __future__ import annotations

import gzip

import pytest
from starlette.requests import Request
from starlette.responses import Response

from sillok.http.compression import WORTH_BYTES, compressed

pytestmark = pytest.mark.anyio

LONG = b"the same line again\n" * WORTH_BYTES


async def ask(body: bytes, *, accept: str = "gzip, deflate", client: str = "10.0.0.7") -> Response:
    scope = {"type": "http", "headers": [(b"accept-encoding", accept.encode())], "client": (client, 1)}
    return await compressed(Request(scope), Response(body, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("accept", ["gzip", "deflate, gzip;q=1.0", "GZIP"])
async def test_a_long_answer_over_a_network_is_compressed(accept: str) -> None:
    answer = await ask(LONG, accept=accept)

    assert gzip.decompress(answer.body) == LONG
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))


async def test_a_short_one_an_unwilling_client_and_a_local_one_get_it_plain() -> None:
    answers = [
        await ask(b"short"),
        await ask(LONG, accept="br"),
        await ask(LONG, accept="gzip;q=0"),
        await ask(LONG, client="127.0.0.1"),
        await ask(LONG, client="::1"),
    ]

    assert all("content-encoding" not in answer.headers for answer in answers)
