"""What a listener bears: slow clients, silent ones, many of them, heads and bodies without end."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import websockets

from sillok import telemetry
from sillok.errors import ConfigError
from sillok.http.settings import Bind, HttpLimits, TlsFiles
from tests.http.serving import Echo, Raw, serving

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def test_several_addresses_serve_the_same_application() -> None:
    async with serving(binds=(Bind("127.0.0.1", 0), Bind("127.0.0.1", 0))) as both, httpx.AsyncClient() as client:
        answers = [await client.get(f"http://127.0.0.1:{bind.port}/") for bind in both.binds]

    assert [answer.text for answer in answers] == ["hello", "hello"]
    assert len({bind.port for bind in both.binds}) == 2


async def test_an_address_in_use_is_named() -> None:
    async with serving() as one:
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{one.port}: Address already in use"):
            async with serving(binds=(Bind("127.0.0.1", one.port),)):
                pass


async def test_localhost_is_all_of_its_addresses_on_one_port() -> None:
    async with serving(binds=(Bind("localhost", 0),)) as one, httpx.AsyncClient() as client:
        assert len({bind.port for bind in one.binds}) == 1
        assert (await client.get(f"http://localhost:{one.port}/")).text == "hello"


async def test_a_connection_serves_many_requests_also_pipelined() -> None:
    async with serving() as one:
        raw = await one.connect()
        await raw.send(GET * 3)
        answers = [await raw.answer() for _ in range(3)]
        await raw.send(GET)
        answers.append(await raw.answer())

    assert answers == [(200, b"hello")] * 4


async def test_a_bug_of_the_application_is_a_500_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as one, httpx.AsyncClient(base_url=one.url) as client:
        answer = await client.get("/bug")

    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert "ZeroDivisionError: a bug" in caplog.text


async def test_pipelining_has_a_bound() -> None:
    async with serving(limits=HttpLimits(stop_timeout_s=0.1)) as one:
        raw = await one.connect()
        await raw.send(GET.replace(b"GET /", b"GET /slow") + GET * 100)
        assert await raw.ends()


@pytest.mark.parametrize("size", [0, 1, 1000, 300_000, 5_000_000])
async def test_a_body_arrives_whole(size: int) -> None:
    async with serving() as one, httpx.AsyncClient(base_url=one.url) as client:
        plain = await client.post("/size", content=b"x" * size)
        chunked = await client.post("/size", content=_pieces(b"x" * size, 70_000))

    assert (plain.text, chunked.text) == (str(size), str(size))


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async with serving() as one:
        raw = await one.connect()
        await raw.send(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await raw.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await raw.send(b"abc")
        assert await raw.answer() == (200, b"3")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: abcdefgh\r\n" * 2000 + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 2_000_000,  # and no end
        b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    ],
    ids=["one long header", "many headers", "a long address", "a header without end", "a WebSocket's"],
)
async def test_a_head_over_the_limit_is_refused(head: bytes) -> None:
    async with serving(limits=HttpLimits(max_header_bytes=16_384)) as one:
        raw = await one.connect()
        await _try_send(raw, head)
        status, text = await raw.answer()

        assert (status, text) == (431, b"request header too large: limit 16384 bytes\n")
        assert await raw.ends()


async def test_trailers_are_bounded_like_headers() -> None:
    async with serving(limits=HttpLimits(max_header_bytes=16_384)) as one:
        raw = await one.connect()
        await raw.send(b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ")
        await _try_send(raw, b"a" * 5_000_000)
        assert await raw.ends()


async def test_what_is_not_http_is_refused() -> None:
    async with serving() as one:
        raw = await one.connect()
        await raw.send(b"\x16\x03\x01 hello \r\n\r\n")
        assert (await raw.answer())[0] == 400
        assert await raw.ends()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost:", b"\r\n"], ids=["nothing", "half a head", "a newline"]
)
async def test_a_head_has_a_time_limit(sent: bytes) -> None:
    async with serving(limits=HttpLimits(head_timeout_s=0.3)) as one:
        raw = await one.connect()
        await raw.send(sent)
        started = time.monotonic()
        assert await raw.ends()

    assert time.monotonic() - started < 4


async def test_a_head_that_trickles_in_does_not_renew_its_time() -> None:
    async with serving(limits=HttpLimits(head_timeout_s=0.5)) as one:
        raw = await one.connect()
        started = time.monotonic()
        await raw.send(b"GET / HTTP/1.1\r\n")
        while not raw.is_over() and time.monotonic() - started < 5:
            await _try_send(raw, b"X: y\r\n")
            await asyncio.sleep(0.1)

    assert time.monotonic() - started < 4


async def test_an_idle_connection_ends_after_its_time() -> None:
    async with serving(limits=HttpLimits(idle_timeout_s=0.3)) as one:
        raw = await one.connect()
        await raw.send(GET)
        assert await raw.answer() == (200, b"hello")
        assert await raw.ends()


async def test_a_body_must_come_on() -> None:
    async with serving(limits=HttpLimits(body_window_s=0.3)) as one:
        raw = await one.connect()
        await raw.send(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc")
        assert (await raw.answer())[0] == 408
        assert await raw.ends()


async def test_a_slow_body_that_comes_on_is_taken() -> None:
    async with serving(limits=HttpLimits(body_window_s=0.3, min_body_bytes=100)) as one:
        raw = await one.connect()
        await raw.send(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(10):
            await raw.send(b"x" * 100)
            await asyncio.sleep(0.1)
        assert await raw.answer() == (200, b"1000")


async def test_a_client_that_takes_no_answer_is_sent_away() -> None:
    async with serving(limits=HttpLimits(write_timeout_s=0.5)) as one:
        raw = await one.connect()
        await raw.send(GET.replace(b"GET /", b"GET /big"))
        await asyncio.sleep(1.2)
        received = 0
        try:
            while chunk := await raw.reader.read(1_000_000):
                received += len(chunk)
        except ConnectionResetError:
            pass

    assert received < 50_000_000


async def test_a_client_that_takes_its_answer_slowly_gets_all_of_it() -> None:
    async with serving(limits=HttpLimits(write_timeout_s=1.5)) as one:
        raw = await one.connect()
        await raw.send(GET.replace(b"GET /", b"GET /big"))
        received = 0
        while received < 50_000_000:
            received += len(await raw.reader.read(4_000_000))
            await asyncio.sleep(0.02)


async def test_a_request_at_work_has_no_time_limit_here() -> None:
    echo = Echo()
    async with serving(echo, limits=HttpLimits(head_timeout_s=0.1, idle_timeout_s=0.1, body_window_s=0.1)) as one:
        raw = await one.connect()
        await raw.send(GET.replace(b"GET /", b"GET /slow"))
        await asyncio.sleep(0.5)
        echo.release.set()
        assert await raw.answer() == (200, b"at last")


async def test_ten_thousand_idle_connections_do_no_harm() -> None:
    wanted = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * wanted:
        wanted = hard // 2 - 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle: list[socket.socket] = []
    evicted = telemetry.HTTP_CLOSED.labels("evicted")
    before = evicted._value.get()
    try:
        async with serving(limits=HttpLimits(max_connections=2000)) as one:
            while len(idle) < wanted:
                idle += await asyncio.gather(*(_silent(one.port) for _ in range(500)))
            took = [await _seconds_for_an_answer(one.url) for _ in range(20)]
    finally:
        for sock in idle:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert evicted._value.get() - before >= wanted - 2000 - 500  # the last ones may not be accepted yet
    assert max(took) < 1.0


async def test_at_the_limit_the_longest_idle_gives_up_its_place() -> None:
    async with serving(limits=HttpLimits(max_connections=3)) as one:
        first, second, third = [await one.connect() for _ in range(3)]
        for raw in (second, third, first):
            await raw.send(GET)
            assert await raw.answer() == (200, b"hello")
        fourth = await one.connect()
        await fourth.send(GET)

        assert await fourth.answer() == (200, b"hello")
        assert await second.ends()
        for raw in (third, first, fourth):
            await raw.send(GET)
            assert await raw.answer() == (200, b"hello")


async def test_when_all_are_at_work_one_more_is_refused_at_once() -> None:
    echo = Echo()
    async with serving(echo, limits=HttpLimits(max_connections=2)) as one:
        busy = [await one.connect() for _ in range(2)]
        for raw in busy:
            await raw.send(GET.replace(b"GET /", b"GET /slow"))
        await asyncio.sleep(0.1)
        late = await one.connect()
        assert await late.answer() == (503, b"too many connections\n")

        echo.release.set()
        assert [await raw.answer() for raw in busy] == [(200, b"at last")] * 2


async def test_the_answer_to_a_refused_body_can_be_read() -> None:
    async with serving() as one:
        raw = await one.connect()
        await raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"%x\r\n%s\r\n" % (100_000, b"x" * 100_000)
        for _ in range(50):
            await _try_send(raw, piece)
        assert await raw.answer() == (200, b"hello")
        assert await raw.ends()


async def test_after_a_body_that_was_not_read_the_connection_ends() -> None:
    async with serving() as one:
        raw = await one.connect()
        await raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert await raw.answer() == (200, b"hello")
        await raw.send(b"x" * 1_000_000 + GET)
        assert await raw.ends()


async def test_stopping_ends_idle_connections_websockets_and_hanging_requests_in_time() -> None:
    echo = Echo()
    async with serving(echo, limits=HttpLimits(stop_timeout_s=1.0)) as one:
        _idle, half, hanging, unread = [await one.connect() for _ in range(4)]
        await half.send(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await hanging.send(GET.replace(b"GET /", b"GET /slow"))
        await unread.send(GET.replace(b"GET /", b"GET /big"))
        async with websockets.connect(f"ws://127.0.0.1:{one.port}/ws") as socket_:
            assert await socket_.recv() == "hello"
            started = time.monotonic()
            one.stop.set()
            await one.done
            took = time.monotonic() - started
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket_.recv()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert took < 2.5


async def test_stopping_lets_an_answer_under_way_finish() -> None:
    echo = Echo()
    async with serving(echo) as one:
        raw = await one.connect()
        await raw.send(GET.replace(b"GET /", b"GET /slow"))
        await echo.started.wait()
        one.stop.set()
        await asyncio.sleep(0.2)
        echo.release.set()

        assert await raw.answer() == (200, b"at last")
        assert await raw.ends()


async def test_a_websocket_that_does_not_read_is_sent_away_and_does_not_hold_up_the_stop() -> None:
    echo = Echo()
    async with serving(echo, limits=HttpLimits(write_timeout_s=0.5, stop_timeout_s=0.5)) as one:
        raw = await one.connect()
        await raw.send(
            b"GET /ws/flood HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await echo.started.wait()
        await asyncio.sleep(1.2)
        received = 0
        try:
            while chunk := await raw.reader.read(1_000_000):
                received += len(chunk)
        except ConnectionResetError:
            pass

    assert received < 30_000_000


async def test_tls_by_two_files_and_handshakes_that_never_come(tmp_path: Path) -> None:
    tls = _self_signed(tmp_path)
    async with serving(tls=tls, limits=HttpLimits(max_connections=20)) as one:
        silent = [await _silent(one.port) for _ in range(50)]
        context = ssl.create_default_context(cafile=str(tls.certificate))
        # The silent ones hold places until their handshake's time is over; none of them is there for ever.
        answer = await _patiently(f"https://localhost:{one.port}/", context)
        for sock in silent:
            sock.close()

    assert answer.text == "hello"


async def test_tls_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    missing = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises(ConfigError, match=r"TLS: cannot use .*cert\.pem"):
        async with serving(tls=missing):
            pass


async def _pieces(body: bytes, size: int):  # type: ignore[no-untyped-def]
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def _try_send(raw: Raw, data: bytes) -> None:
    try:
        await raw.send(data)
    except ConnectionError:
        pass


async def _silent(port: int) -> socket.socket:
    """A connection on which nothing is ever said."""
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


async def _seconds_for_an_answer(url: str) -> float:
    started = time.monotonic()
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).text == "hello"
    return time.monotonic() - started


async def _patiently(url: str, context: ssl.SSLContext) -> httpx.Response:
    until = time.monotonic() + 15
    while True:
        try:
            async with httpx.AsyncClient(verify=context) as client:
                return await client.get(url)
        except httpx.TransportError:
            assert time.monotonic() < until
            await asyncio.sleep(0.2)


def _self_signed(folder: Path) -> TlsFiles:
    files = TlsFiles(folder / "cert.pem", folder / "key.pem")
    made = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {files.key} -out {files.certificate}"
    subprocess.run(
        ["openssl", *made.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True
    )
    return files
