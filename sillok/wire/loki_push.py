"""Loki's push: the bodies that promtail, Alloy, Grafana Agent, winston-loki and curl send.

Protobuf: `logproto.PushRequest`, after snappy (which `http/` undoes). The entries are left as bytes:
the commit decodes the entries of all waiting pushes in one pass (`loki_entries.py`).

JSON: `{"streams": [{"stream": {…}, "values": [["<ns>", "<line>", {metadata}]]}]}`.

Source:  Loki pkg/push/push.proto, pkg/loghttp/push/push.go, pkg/loghttp/entry.go
Differs: field 1001 of an entry (a varint Loki skips as unknown) is the line's place in its source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import orjson
from google.protobuf.message import DecodeError

from sillok.errors import PushSyntaxError
from sillok.model.push import EntryColumns, Pushed, PushedStream, RawEntries
from sillok.wire.protobuf import Field, message_classes

OFFSET_FIELD = 1001

_READ = message_classes(
    "sillok.loki.read",
    {
        "PushRequest": (Field("streams", 1, "Stream", repeated=True),),
        # `bytes`: label text and entries reach us as they were sent, whether UTF-8 or not.
        "Stream": (Field("labels", 1, "bytes"), Field("entries", 2, "bytes", repeated=True)),
    },
)
_WRITE = message_classes(
    "sillok.loki.write",
    {
        "PushRequest": (Field("streams", 1, "Stream", repeated=True),),
        "Stream": (Field("labels", 1, "string"), Field("entries", 2, "Entry", repeated=True)),
        "Entry": (
            Field("timestamp", 1, "Timestamp"),
            Field("line", 2, "bytes"),
            Field("metadata", 3, "Pair", repeated=True),
            Field("offset", OFFSET_FIELD, "uint64"),
        ),
        "Timestamp": (Field("seconds", 1, "int64"), Field("nanos", 2, "int32")),
        "Pair": (Field("name", 1, "string"), Field("value", 2, "string")),
    },
)

Metadata: TypeAlias = tuple[tuple[str, str], ...]
SentEntry: TypeAlias = tuple[int, bytes, Metadata, int | None]  # time_ns, line, metadata, offset

_SECOND_NS = 1_000_000_000


def decode_protobuf(body: bytes) -> Pushed:
    """The streams of a decompressed protobuf body, their entries undecoded.

    Raises:
        PushSyntaxError: `body` is not a `PushRequest`.
    """
    request = _READ["PushRequest"]()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise PushSyntaxError("the body is not a protobuf PushRequest") from None
    return Pushed(
        tuple(
            PushedStream(stream.labels.decode("utf-8", "replace"), RawEntries(tuple(stream.entries)))
            for stream in request.streams
        ),
        len(body),
    )


def encode_protobuf(streams: Iterable[tuple[str, Sequence[SentEntry]]]) -> bytes:
    """An uncompressed `PushRequest` of (label text, entries) pairs."""
    request = _WRITE["PushRequest"]()
    for labels, entries in streams:
        stream = request.streams.add(labels=labels)
        for time_ns, line, metadata, offset in entries:
            entry = stream.entries.add(line=line, offset=offset)
            entry.timestamp.seconds, entry.timestamp.nanos = divmod(time_ns, _SECOND_NS)
            for name, value in metadata:
                entry.metadata.add(name=name, value=value)
    body: bytes = request.SerializeToString()
    return body


def decode_json(body: bytes) -> Pushed:
    """The streams of a JSON body.

    Raises:
        PushSyntaxError: `body` is not JSON, or not of the push's shape.
    """
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PushSyntaxError(f"the body is not JSON: {error}") from None
    streams = request.get("streams") if isinstance(request, dict) else None
    if not isinstance(streams, list):
        raise PushSyntaxError('the body has no "streams"')
    return Pushed(tuple(_stream_of_json(stream) for stream in streams), len(body))


def _stream_of_json(stream: Any) -> PushedStream:
    labels = stream.get("stream", {}) if isinstance(stream, dict) else None
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise PushSyntaxError('"stream" is not an object of strings')
    values = stream.get("values")
    if not isinstance(values, list):
        raise PushSyntaxError('"values" is not a list')
    return PushedStream(tuple(labels.items()), _columns_of_json(values))


def _columns_of_json(values: list[Any]) -> EntryColumns:
    times: list[int] = []
    lines: list[bytes] = []
    metadata: list[Metadata] = []
    for value in values:
        times.append(_time_of_json(value))
        lines.append(value[1].encode())
        metadata.append(_metadata_of_json(value[2]) if len(value) > 2 else ())
    return EntryColumns(times, lines, metadata if any(metadata) else None)


def _time_of_json(value: Any) -> int:
    if not isinstance(value, list) or len(value) < 2 or not isinstance(value[0], str) or not isinstance(value[1], str):
        raise PushSyntaxError('a value is not ["<unix time in ns>", "<line>"]')
    try:
        return int(value[0])
    except ValueError:
        raise PushSyntaxError(f"{value[0]!r} is not a unix time in nanoseconds") from None


def _metadata_of_json(pairs: Any) -> Metadata:
    if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
        raise PushSyntaxError("structured metadata is not an object of strings")
    return tuple(pairs.items())
