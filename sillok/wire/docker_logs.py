"""Docker's two forms of a container's log: the `json-file` on disk, and the stream of the logs API.

Neither keeps lines whole: a line over 16 KiB comes in fragments, all but the last without a newline.
The driver `local` leaves the newline away from the last one as well: there, a fragment that is not full
is the last.

Source: moby daemon/logger/jsonfilelog, api/types/container (stdcopy framing), daemon/logger/copier.go
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import orjson

FRAGMENT_BYTES = 16 * 1024
MAX_FRAME_BYTES = 1024 * 1024  # A frame is one fragment and its time; a length above it is not a frame.

_FRAME = struct.Struct(">BxxxI")
_STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) ")
_UNENDED = re.compile(rb"\r(?=" + _TIME.pattern + rb")")
_SECOND_NS = 1_000_000_000


class NotDockerLog(ValueError):
    """The bytes are not what Docker writes."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What Docker got in one piece. A line ends with a fragment that `ends_line`; `text` is without the newline."""

    stream: str
    time_ns: int
    text: bytes
    ends_line: bool


def decode_json(line: bytes) -> Fragment:
    """One line of a `json-file` log.

    Raises:
        NotDockerLog: it is something else.
    """
    try:
        record = orjson.loads(line)
        text: str = record["log"]
        ends_line = text.endswith("\n")
        stream: str = record.get("stream", "stdout")
        return Fragment(stream, time_ns(record["time"]), (text[:-1] if ends_line else text).encode(), ends_line)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotDockerLog(str(error)) from None


def time_ns(text: str) -> int:
    """RFC 3339 with up to nine digits of a second, as Docker writes it."""
    rest = text[19:]
    if rest[-1:] == "Z":
        fraction, zone = rest[1:-1], "+00:00"
    else:
        at = max(rest.rfind("+"), rest.rfind("-"))
        fraction, zone = rest[1:at], rest[at:]
    return _second_ns(text[:19] + zone) + (int(fraction.ljust(9, "0")[:9]) if fraction else 0)


@lru_cache(maxsize=256)
def _second_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * _SECOND_NS


class FrameDecoder:
    """The logs API of a container without a terminal: frames of one fragment each, with its time in front."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Fragment]:
        """The fragments that `data` completes.

        Raises:
            NotDockerLog: the stream is out of step.
        """
        data = self._rest + data
        found: list[Fragment] = []
        at = 0
        while at + _FRAME.size <= len(data):
            kind, size = _FRAME.unpack_from(data, at)
            if kind not in _STREAMS or size > MAX_FRAME_BYTES:
                raise NotDockerLog(f"a frame of kind {kind} and {size} bytes")
            end = at + _FRAME.size + size
            if end > len(data):
                break
            found.append(_fragment(_STREAMS[kind], data[at + _FRAME.size : end]))
            at = end
        self._rest = data[at:]
        return found


class TerminalDecoder:
    """The logs API of a container with a terminal: bare lines; the fragments of a long one carry a time each."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Fragment]:
        """The lines that `data` completes.

        Raises:
            NotDockerLog: there is no time in front of a line.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if any(len(line) > FRAGMENT_BYTES for line in lines):
            lines = [part for line in lines for part in _UNENDED.split(line)]
        if len(self._rest) > MAX_FRAME_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return [_fragment("stdout", _without_inner_times(line) + b"\n") for line in lines]


def _without_inner_times(line: bytes) -> bytes:
    head = _TIME.match(line)
    at = (head.end() if head else 0) + FRAGMENT_BYTES
    while at < len(line) and (inner := _TIME.match(line, at)) is not None:
        line = line[:at] + line[inner.end() :]
        at += FRAGMENT_BYTES
    return line


def _fragment(stream: str, payload: bytes) -> Fragment:
    stamp, _, text = payload.partition(b" ")
    try:
        moment = time_ns(stamp.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        raise NotDockerLog(f"no time in front of {payload[:40]!r}") from None
    has_newline = text.endswith(b"\n")
    return Fragment(stream, moment, text[:-1] if has_newline else text, has_newline or len(text) < FRAGMENT_BYTES)
