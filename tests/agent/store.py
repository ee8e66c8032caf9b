"""A store for the collector's tests: an HTTP server that keeps what it takes, by batch id, and can misbehave.

It answers like Sillok (with receipts) or like a Loki (without), and it can refuse, fail, be slow, take a
batch and lose the answer.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cramjam

from sillok.wire.loki_push import _WRITE


@dataclass(frozen=True, slots=True)
class Line:
    labels: str
    time_ns: int
    text: bytes
    metadata: tuple[tuple[str, str], ...]
    offset: int


@dataclass
class Answer:
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_kept: bool = True
    is_answered: bool = True


@dataclass
class Push:
    batch: str
    body: bytes
    headers: dict[str, str]
    lines: list[Line]


class Store:
    """`answer(push)` decides; by default everything is taken. `lines` are in the order of first arrival."""

    def __init__(self, *, gives_receipts: bool = True, port: int = 0) -> None:
        self.gives_receipts = gives_receipts
        self.answer: Callable[[Push], Answer] = lambda push: Answer()
        self.pushes: list[Push] = []
        self.lines: list[Line] = []
        self.kept: dict[str, bytes] = {}
        self.delay_s = 0.0
        self._lock = threading.Lock()
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                store._take(self)

            def log_message(self, *args: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/loki/api/v1/push"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def use_tls(self, context: ssl.SSLContext) -> None:
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def texts(self) -> list[bytes]:
        with self._lock:
            return [line.text for line in self.lines]

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        batch = request.headers.get("X-Sillok-Batch", "")
        push = Push(batch, body, dict(request.headers.items()), decode(body))
        if self.delay_s:
            time.sleep(self.delay_s)
        with self._lock:
            answer = self.answer(push)
            self.pushes.append(push)
            duplicates = 0
            if answer.is_kept and answer.status < 300:
                if batch in self.kept:
                    assert self.kept[batch] == body, "the same id with other bytes"
                    duplicates = len(push.lines)
                else:
                    self.kept[batch] = body
                    self.lines.extend(push.lines)
        if not answer.is_answered:
            request.close_connection = True
            request.connection.close()
            return
        headers = dict(answer.headers)
        if self.gives_receipts and answer.status < 300:
            stored = len(push.lines) - duplicates
            headers["X-Sillok-Receipt"] = json.dumps(
                {"batch": batch, "stored": stored, "duplicates": duplicates, "refused": {}}
            )
        request.send_response(answer.status)
        for name, value in headers.items():
            request.send_header(name, value)
        if answer.status != 204:
            request.send_header("Content-Length", str(len(answer.body)))
        request.end_headers()
        if answer.status != 204:
            request.wfile.write(answer.body)


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that was killed is no error here."""


def decode(body: bytes) -> list[Line]:
    request = _WRITE["PushRequest"]()
    request.ParseFromString(bytes(cramjam.snappy.decompress_raw(body)))
    return [
        Line(
            stream.labels,
            entry.timestamp.seconds * 10**9 + entry.timestamp.nanos,
            entry.line,
            tuple((pair.name, pair.value) for pair in entry.metadata),
            entry.offset,
        )
        for stream in request.streams
        for entry in stream.entries
    ]
