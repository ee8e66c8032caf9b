"""The NumPy walk over entries means what protobuf means, whatever the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sillok.errors import PushSyntaxError
from sillok.wire.loki_entries import NO_OFFSET, DecodedEntries, Slices, decode_entries, is_entry
from sillok.wire.loki_push import OFFSET_FIELD, SentEntry, decode_protobuf, encode_protobuf
from sillok.wire.protobuf import Field, message_classes

SECOND_NS = 1_000_000_000
LAST_SECOND = (1 << 63) // SECOND_NS - 3

# A schema of the test's own: strings as bytes, so that nothing is checked that Go does not check.
ORACLE = message_classes(
    "test.loki",
    {
        "Entry": (
            Field("timestamp", 1, "Timestamp"),
            Field("line", 2, "bytes"),
            Field("metadata", 3, "Pair", repeated=True),
            Field("offset", OFFSET_FIELD, "uint64"),
        ),
        "Timestamp": (Field("seconds", 1, "int64"), Field("nanos", 2, "int32")),
        "Pair": (Field("name", 1, "bytes"), Field("value", 2, "bytes")),
    },
)["Entry"]


@dataclass(frozen=True, slots=True)
class Read:
    """One entry, whoever read it."""

    time_ns: int
    line: bytes
    offset: int
    metadata: tuple[tuple[bytes, bytes], ...]


def by_protobuf(message: bytes) -> Read | None:
    try:
        entry = ORACLE.FromString(message)
    except DecodeError:
        return None
    seconds = max(-LAST_SECOND, min(entry.timestamp.seconds, LAST_SECOND))
    offset = entry.offset if entry.HasField("offset") else NO_OFFSET
    return Read(
        seconds * SECOND_NS + entry.timestamp.nanos,
        entry.line,
        offset - (1 << 64) if offset >= 1 << 63 else offset,
        tuple((pair.name, pair.value) for pair in entry.metadata),
    )


def by_walk(messages: list[bytes]) -> list[Read]:
    decoded = decode_entries(messages)
    lines, names, values = (texts(decoded, column) for column in (decoded.line, decoded.name, decoded.value))
    metadata: list[list[tuple[bytes, bytes]]] = [[] for _ in messages]
    for entry, name, value in zip(decoded.pair_entry.tolist(), names, values, strict=True):
        metadata[entry].append((name, value))
    columns = zip(decoded.time_ns.tolist(), lines, decoded.offset.tolist(), metadata, strict=True)
    return [Read(time_ns, line, offset, tuple(pairs)) for time_ns, line, offset, pairs in columns]


def texts(decoded: DecodedEntries, column: Slices) -> list[bytes]:
    starts, ends = column.start.tolist(), column.end.tolist()
    assert starts == sorted(starts)
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    return [decoded.buffer[start:end] for start, end in zip(starts, ends, strict=True)]


def varint(number: int, *, padded_to: int = 0) -> bytes:
    octets = []
    while number >= 0x80 or len(octets) + 1 < padded_to:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*octets, number])


def length_delimited(content: bytes) -> bytes:
    return varint(len(content)) + content


numbers = st.one_of(
    st.integers(0, 300), st.integers(0, (1 << 64) - 1), st.sampled_from([1 << 31, 1 << 63, (1 << 64) - 1])
)
paddings = st.sampled_from([0, 0, 0, 0, 2, 5, 6, 10, 11])
known = st.sampled_from([1, 2, 3, 4, OFFSET_FIELD])
fields = st.one_of(known, st.integers(0, 20), st.sampled_from([1000, (1 << 29) - 1, 1 << 29, 1 << 32]))


@st.composite
def one_field(draw: st.DrawFn, content: st.SearchStrategy[bytes], numbered: st.SearchStrategy[int] = fields) -> bytes:
    """A field of any number and wire type, sometimes written the long way."""
    wire = draw(st.sampled_from([0, 0, 2, 2, 2, 2, 1, 5, 3, 4, 6, 7]))
    tag = varint(draw(numbered) << 3 | wire, padded_to=draw(paddings))
    match wire:
        case 0:
            return tag + varint(draw(numbers), padded_to=draw(paddings))
        case 2:
            inner = draw(content)
            length = draw(st.sampled_from([len(inner)] * 9 + [len(inner) + 1]))
            return tag + varint(length, padded_to=draw(paddings)) + inner
        case 1:
            return tag + draw(st.binary(min_size=8, max_size=8))
        case 5:
            return tag + draw(st.binary(min_size=4, max_size=4))
    return tag


def message_of(
    content: st.SearchStrategy[bytes], numbered: st.SearchStrategy[int] = fields
) -> st.SearchStrategy[bytes]:
    return st.lists(one_field(content, numbered), max_size=4).map(b"".join)


def plausible(*kinds: tuple[int, st.SearchStrategy[bytes] | None]) -> st.SearchStrategy[bytes]:
    """Fields with the wire types they should have; a varint where there is no content. In any order, repeated."""
    each = [
        numbers.map(lambda value, number=number: varint(number << 3) + varint(value))
        if content is None
        else content.map(lambda value, number=number: varint(number << 3 | 2) + length_delimited(value))
        for number, content in kinds
    ]
    return st.lists(st.one_of(*each), max_size=4).map(b"".join)


small = st.one_of(st.binary(max_size=12), message_of(st.binary(max_size=6), st.integers(1, 3)))
times = plausible((1, None), (2, None), (3, None))
pairs = plausible((1, st.binary(max_size=6)), (2, st.binary(max_size=6)))
usual = plausible((1, times), (2, st.binary(max_size=12)), (3, pairs), (4, pairs), (OFFSET_FIELD, None))
entries = st.one_of(usual, message_of(small, known), message_of(small), st.binary(max_size=40))


@settings(max_examples=1500, deadline=None)
@given(st.lists(entries, max_size=12))
@example([b""])
@example([])
@example([b"\x0a\x00\x12\x00"])
@example([varint(1 << 3 | 3) + varint(1 << 3 | 4)])
def test_the_walk_reads_what_protobuf_reads(messages: list[bytes]) -> None:
    expected = [by_protobuf(message) for message in messages]
    assert [is_entry(message) for message in messages] == [read is not None for read in expected]
    sound = [message for message, read in zip(messages, expected, strict=True) if read is not None]
    assert by_walk(sound) == [read for read in expected if read is not None]
    if len(sound) < len(messages):
        with pytest.raises(PushSyntaxError):
            decode_entries(messages)


@settings(max_examples=300, deadline=None)
@given(st.lists(entries.filter(is_entry), min_size=1, max_size=12), st.data())
def test_a_message_cut_short_does_not_reach_into_the_next(messages: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(messages) - 1))
    cut = messages[index][: data.draw(st.integers(0, len(messages[index])))]
    messages[index] = cut
    if is_entry(cut):
        assert by_walk(messages) == [by_protobuf(message) for message in messages]
    else:
        with pytest.raises(PushSyntaxError):
            decode_entries(messages)


text = st.text(max_size=8)
sent_entries: st.SearchStrategy[SentEntry] = st.tuples(
    st.integers(-(1 << 62), 1 << 62),
    st.binary(max_size=30),
    st.lists(st.tuples(text, text), max_size=3).map(tuple),
    st.one_of(st.none(), st.integers(0, (1 << 63) - 1)),
)


@settings(deadline=None)
@given(st.lists(st.tuples(text, st.lists(sent_entries, max_size=5)), max_size=4))
def test_what_is_encoded_is_decoded(streams: list[tuple[str, list[SentEntry]]]) -> None:
    pushed = decode_protobuf(encode_protobuf(streams))
    assert [stream.labels for stream in pushed.streams] == [labels for labels, _ in streams]
    for stream, (_, entries_of_stream) in zip(pushed.streams, streams, strict=True):
        assert by_walk(list(messages_of(stream))) == [read_of(entry) for entry in entries_of_stream]


def messages_of(stream: Any) -> tuple[bytes, ...]:
    messages: tuple[bytes, ...] = stream.entries.messages
    return messages


def read_of(entry: SentEntry) -> Read:
    time_ns, line, metadata, offset = entry
    pairs = tuple((name.encode(), value.encode()) for name, value in metadata)
    return Read(time_ns, line, NO_OFFSET if offset is None else offset, pairs)
