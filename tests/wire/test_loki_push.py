"""Bodies of Loki's push."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sillok.errors import PushSyntaxError
from sillok.model.push import EntryColumns, PushedStream
from sillok.wire.loki_push import decode_json, decode_protobuf

ROOT = Path(__file__).resolve().parents[2]


def columns(times: list[int], lines: list[bytes], metadata: list[tuple[tuple[str, str], ...]] | None = None) -> object:
    return EntryColumns(times, lines, metadata)


def test_json_streams_keep_their_order_and_their_entries() -> None:
    body = b"""{"streams": [
        {"stream": {"b": "1", "a": "2"}, "values": [["5", "five"], ["-3", "minus three", {"k": "v"}]]},
        {"stream": {"b": "1"}, "values": [["0", "\\u00e9 \\ud83d\\ude00"]]}
    ]}"""
    pushed = decode_json(body)
    assert pushed.body_bytes == len(body)
    assert pushed.streams == (
        PushedStream((("b", "1"), ("a", "2")), columns([5, -3], [b"five", b"minus three"], [(), (("k", "v"),)])),
        PushedStream((("b", "1"),), columns([0], ["é 😀".encode()])),
    )


def test_labels_that_are_no_strings_become_their_json() -> None:
    pushed = decode_json(b'{"streams": [{"stream": {"a": 1, "b": null, "c": {"d": [true]}}, "values": []}]}')
    assert pushed.streams[0].labels == (("a", "1"), ("b", "null"), ("c", '{"d":[true]}'))


def test_bytes_that_are_no_text_do_not_refuse_a_json_push() -> None:
    pushed = decode_json(b'{"streams": [{"stream": {}, "values": [["1", "a\xffb"]]}]}')
    assert pushed.streams[0].entries == columns([1], ["a\ufffdb".encode()])


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"streams": null}', b'{"streams": []}'])
def test_json_without_streams_is_an_empty_push(body: bytes) -> None:
    assert decode_json(body).streams == ()


VALUE = '{"streams": [{"stream": {}, "values": [%s]}]}'
MALFORMED = [
    "",
    "[]",
    "5",
    '{"streams": ',
    '{"streams": []} x',
    '{"streams": "x"}',
    '{"streams": [null]}',
    '{"streams": [{"stream": null}]}',
    '{"streams": [{"stream": "x"}]}',
    '{"streams": [{"stream": {}, "values": "x"}]}',
    '{"streams": [{"stream": {}, "values": {"a": 1}}]}',
    VALUE % '"x"',
    VALUE % "[]",
    VALUE % '{"ts": "1"}',
    VALUE % '[1, "x"]',
    VALUE % '["1.5", "x"]',
    VALUE % '["+5", "x"]',
    VALUE % '[" 5", "x"]',
    VALUE % '["", "x"]',
    VALUE % '["1_0", "x"]',
    VALUE % '["99999999999999999999", "x"]',
    VALUE % '["9223372036854775808", "x"]',
    VALUE % '["1", 5]',
    VALUE % '["1", null]',
    VALUE % '["1", "x", null]',
    VALUE % '["1", "x", "y"]',
    VALUE % '["1", "x", {"k": 1}]',
    VALUE % '["1", "x", {"k": {"l": "m"}}]',
    VALUE % '["1", "\\ud800"]',
]


@pytest.mark.parametrize("body", MALFORMED)
def test_json_of_another_shape_is_refused_in_words(body: str) -> None:
    with pytest.raises(PushSyntaxError) as refused:
        decode_json(body.encode())
    assert 10 < len(str(refused.value)) < 300


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05", b"{}"])
def test_what_is_no_protobuf_is_refused(body: bytes) -> None:
    with pytest.raises(PushSyntaxError):
        decode_protobuf(body)


def test_the_collector_can_encode_without_the_stores_libraries() -> None:
    script = (
        "import sys; import sillok.wire.loki_push\n"
        "print([name for name in ('numpy', 'pyarrow', 'pandas', 'chdb') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
