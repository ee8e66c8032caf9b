"""Docker's `json-file` and the stream of its logs API."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.wire.docker_logs import Fragment, FrameDecoder, NotDockerLog, TerminalDecoder, decode_json, time_ns

TIME = "2026-11-20T13:03:51.85936141Z"
TIME_NS = 1795179831859361410


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TIME, TIME_NS),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.000000001Z", 1_000_000_001),
        ("1970-01-01T01:00:00.5+01:00", 500_000_000),
        ("1969-12-31T23:30:00-00:30", 0),
    ],
)
def test_times_keep_their_nanoseconds(text: str, expected: int) -> None:
    assert time_ns(text) == expected


def test_a_line_of_a_json_file() -> None:
    line = f'{{"log":"warn 1\\n","stream":"stderr","time":"{TIME}"}}'.encode()
    assert decode_json(line) == Fragment("stderr", TIME_NS, b"warn 1", True)
    part = f'{{"log":"no end","stream":"stdout","time":"{TIME}","attrs":{{"a":"b"}}}}'.encode()
    assert decode_json(part) == Fragment("stdout", TIME_NS, b"no end", False)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"log":1}', b'{"log":"x","time":"yesterday"}', b"\0\0\0"])
def test_what_is_not_dockers_is_said_to_be(line: bytes) -> None:
    with pytest.raises(NotDockerLog):
        decode_json(line)


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxI", kind, len(payload)) + payload


@given(cuts=st.lists(st.integers(1, 40), max_size=30))
def test_frames_may_be_cut_anywhere(cuts: list[int]) -> None:
    full = b"x" * 16384
    stream = (
        frame(1, f"{TIME} hello\n".encode())
        + frame(2, f"{TIME} ".encode() + full)
        + frame(2, f"{TIME} rest\n".encode())
        + frame(1, f"{TIME} \n".encode())
    )
    decoder = FrameDecoder()
    found: list[Fragment] = []
    for cut in cuts:
        found += decoder.feed(stream[:cut])
        stream = stream[cut:]
    found += decoder.feed(stream)
    assert found == [
        Fragment("stdout", TIME_NS, b"hello", True),
        Fragment("stderr", TIME_NS, full, False),
        Fragment("stderr", TIME_NS, b"rest", True),
        Fragment("stdout", TIME_NS, b"", True),
    ]


def test_the_last_fragment_of_the_driver_local_has_no_newline() -> None:
    (found,) = FrameDecoder().feed(frame(1, f"{TIME} tail".encode()))
    assert found.ends_line


def test_a_stream_out_of_step_is_noticed() -> None:
    with pytest.raises(NotDockerLog):
        FrameDecoder().feed(b"INFO hello, I am a terminal")


def test_a_terminal_has_bare_lines_and_times_within_long_ones() -> None:
    long = f"{TIME} ".encode() + b"a" * 16384 + f"{TIME} ".encode() + b"b" * 100
    found = TerminalDecoder().feed(f"{TIME} one\r\n".encode() + long + b"\r\n" + f"{TIME} half".encode())
    assert [fragment.text for fragment in found] == [b"one\r", b"a" * 16384 + b"b" * 100 + b"\r"]
