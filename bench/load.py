"""The sender: a process of its own that pushes prepared bodies over plain sockets and times every answer.

    python -m bench.load HOST:PORT PATH FOLDER FIRST END CONNECTIONS

prints JSON: seconds, lines, resent, p50_ms, p99_ms, cpu_s.
"""

from __future__ import annotations

import itertools
import json
import mmap
import socket
import sys
import threading
import time
from pathlib import Path

from bench import prepare
from bench.data import LINES_PER_BATCH


class Sender:
    """Connections that share one queue of batches; a 429 or 503 is sent again after its Retry-After."""

    def __init__(self, *, address: str, path: str, corpus: prepare.Corpus, first: int, end: int) -> None:
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Length: "
        ).encode()
        self._index = corpus.index
        self._next = itertools.count(first)
        self._end = end
        self._parts = []
        for part in sorted({part for part, _, _ in corpus.index}):
            with prepare.part_path(corpus.folder, part).open("rb") as file:
                self._parts.append(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        self.seconds: list[float] = []
        self.resent = 0
        self.errors: list[str] = []

    def run(self) -> None:
        """Send batches until none is left."""
        try:
            with socket.create_connection(self._address) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while (batch := next(self._next)) < self._end:
                    self._send(connection, batch)
        except (OSError, ValueError) as error:
            self.errors.append(f"{type(error).__name__}: {error}")

    def _send(self, connection: socket.socket, batch: int) -> None:
        part, offset, length = self._index[batch]
        body = self._parts[part][offset : offset + length]
        head = self._head + str(length).encode() + b"\r\n\r\n"
        while True:
            begin = time.perf_counter()
            connection.sendall(head)
            connection.sendall(body)
            status, headers, text = _answer(connection)
            if status in (429, 503):
                self.resent += 1
                time.sleep(float(headers.get("retry-after", "1")))
                continue
            if status not in (200, 204):
                raise ValueError(f"push answered {status}: {text[:500]!r}")
            self.seconds.append(time.perf_counter() - begin)
            return


def _answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            raise ValueError(f"the server closed the connection after {received[:200]!r}")
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return int(first.split()[1]), headers, body


def main(address: str, path: str, folder: str, first: str, end: str, connections: str) -> None:
    corpus = prepare.load(Path(folder))
    assert corpus is not None, f"nothing prepared in {folder}"
    sender = Sender(address=address, path=path, corpus=corpus, first=int(first), end=int(end))
    threads = [threading.Thread(target=sender.run) for _ in range(int(connections))]
    begin, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    if sender.errors:
        raise SystemExit("\n".join(sender.errors))
    ordered = sorted(sender.seconds)
    lines = min(int(end) * LINES_PER_BATCH, corpus.shape.lines) - int(first) * LINES_PER_BATCH
    print(
        json.dumps(
            {
                "seconds": seconds,
                "lines": lines,
                "pushes": len(ordered),
                "resent": sender.resent,
                "p50_ms": 1000 * ordered[len(ordered) // 2],
                "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
                "cpu_s": time.process_time() - cpu,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
