"""A double of ClickHouse's HTTP interface over chDB: `/ping`, queries, parameters, settings, Arrow in and out.

    python -m tests.doubles.clickhouse_http FOLDER

prints its address and serves until its standard input ends, so that it never outlives who started it. A request
is a session of its own, as with a server. It is as strict as ClickHouse where it matters here: errors carry the
code in a header and the text in the body, and an answer that fails on its way ends with the exception.

Source: https://clickhouse.com/docs/en/interfaces/http
"""

from __future__ import annotations

import email.parser
import email.policy
import gzip
import io
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cramjam
import pyarrow as pa
from chdb import ChdbError
from chdb.session import Session

# What a request says beside settings.
_TRANSPORT = frozenset(
    {
        *("query", "database", "default_format", "compress", "decompress", "user", "password", "query_id"),
        *("session_id", "session_timeout", "wait_end_of_query", "enable_http_compression", "client_protocol_version"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
    }
)
_FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)
_INPUT = re.compile(r"\binput\('[^']*'\)")
_CODE = re.compile(r"Code: (\d+)")
_DECODERS = {"": bytes, "gzip": gzip.decompress, "lz4": lambda body: bytes(cramjam.lz4.decompress(body))}
_ERRORS = (RuntimeError, ChdbError)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_of_data: str

    def do_GET(self) -> None:
        if self.path.startswith("/ping"):
            self._answer(200, b"Ok.\n")
        else:
            self._run(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(self._chunks())
        self._run(_DECODERS[self.headers.get("Content-Encoding", "")](body))

    def _run(self, body: bytes) -> None:
        params = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
        if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
            params |= _fields(self.headers["Content-Type"], body)
            body = b""
        text, data = (params["query"], body) if params.get("query") else (body.decode(), b"")
        bound = {name[6:]: value for name, value in params.items() if name.startswith("param_")}
        settings = {n: v for n, v in params.items() if n not in _TRANSPORT and not n.startswith("param_")}
        try:
            is_whole = params.get("wait_end_of_query") == "1"
            self._execute(text, data, bound, settings, params.get("default_format", "TabSeparated"), is_whole)
        except _ERRORS as error:
            self._fail(str(error))

    def _execute(
        self, text: str, data: bytes, bound: dict[str, str], settings: dict[str, str], form: str, is_whole: bool
    ) -> None:
        if found := _FORMAT.search(text):
            text, form = text[: found.start()], found[1]
        session: Any = Session(self.path_of_data)
        try:
            for name, value in settings.items():
                session.query(f"SET {name} = '{value}'")
            if data and _INPUT.search(text):
                rows = pa.ipc.open_stream(data).read_all()  # noqa: F841  found by its name
                session.query(_INPUT.sub("Python(rows)", text), params=bound)
                self._answer(200, b"")
            elif form == "ArrowStream" and not is_whole:
                self._stream(session, text, bound)
            else:
                self._answer(200, session.query(text, form, params=bound).bytes(), form)
        finally:
            session.close()

    def _stream(self, session: Any, text: str, bound: dict[str, str]) -> None:
        """Record batches as they come. The first one decides between an error status and an answer."""
        sink = io.BytesIO()
        try:
            reader = session.send_query(text, "Arrow", params=bound).record_batch(1)
            batches = iter(reader)
            first = next(batches, None)
        except (*_ERRORS, OSError, pa.ArrowException) as error:
            raise RuntimeError(str(error)) from None
        if first is None:  # chDB streams no schema without rows
            self._answer(200, session.query(text, "ArrowStream", params=bound).bytes(), "ArrowStream")
            return
        self.send_response(200)
        self.send_header("X-ClickHouse-Format", "ArrowStream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            with pa.ipc.new_stream(sink, reader.schema) as writer:
                while first is not None:
                    writer.write_batch(first)
                    self._chunk(sink)
                    first = next(batches, None)
        except (*_ERRORS, OSError, pa.ArrowException) as error:
            sink.seek(0)
            sink.truncate(0)
            sink.write(f"\r\n__exception__\r\n{error}".encode())
            self.close_connection = True
        self._chunk(sink)
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, sink: io.BytesIO) -> None:
        if content := sink.getvalue():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
            sink.seek(0)
            sink.truncate(0)

    def _fail(self, text: str) -> None:
        code = _CODE.search(text)
        self._answer(500, text.encode(), code=code[1] if code else "1000")

    def _answer(self, status: int, body: bytes, form: str = "", *, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if form:
            self.send_header("X-ClickHouse-Format", form)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


def _fields(content_type: str, body: bytes) -> dict[str, str]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in message.iter_parts()
    }


def main() -> None:
    Handler.path_of_data = sys.argv[1]
    root = Session(sys.argv[1])  # keeps the engine open between requests
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
        server.serve_forever()
    root.close()


if __name__ == "__main__":
    main()
