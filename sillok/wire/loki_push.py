"""Loki's push: the bodies that promtail, Alloy, Grafana Agent, winston-loki and curl send.

Protobuf: `logproto.PushRequest`, after snappy (which `http/` undoes). The entries are left as bytes:
the commit decodes the entries of all waiting pushes in one pass (`loki_entries.py`).

JSON: `{"streams": [{"stream": {…}, "values": [["<ns>", "<line>", {metadata}]]}]}`.

Source:  Loki pkg/push/push.proto, pkg/loghttp/push/push.go, pkg/loghttp/entry.go
Differs: field 1001 of an entry (a varint Loki skips as unknown) is the line's place in its source. JSON with
         anything behind its end is refused, where Loki would ignore it.
"""

from __future__ import annotations

import re
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
_TIME = re.compile(r"-?[0-9]{1,19}\Z")
_INT64 = range(-(1 << 63), 1 << 63)
_SHOWN_CHARACTERS = 80


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
    request = _loaded(body)
    if not isinstance(request, dict | None):
        raise PushSyntaxError(f"the body is not an object, but {_shown(request)}")
    streams = (request or {}).get("streams") or []
    if not isinstance(streams, list):
        raise PushSyntaxError(f'"streams" is not a list, but {_shown(streams)}')
    return Pushed(tuple(_stream_of_json(stream) for stream in streams), len(body))


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        text = body.decode("utf-8", "replace")
        if "\ufffd" not in text:
            raise PushSyntaxError(f"the body is not JSON: {error}") from None
    # Bytes that are no UTF-8 are replaced, as Loki shows them; a push is not refused for them.
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PushSyntaxError(f"the body is not JSON: {error}") from None


def _stream_of_json(stream: Any) -> PushedStream:
    if not isinstance(stream, dict):
        raise PushSyntaxError(f"a stream is not an object, but {_shown(stream)}")
    labels = stream.get("stream", {})
    if not isinstance(labels, dict):
        raise PushSyntaxError(f'"stream" is not an object, but {_shown(labels)}')
    values = stream.get("values") or []
    if not isinstance(values, list):
        raise PushSyntaxError(f'"values" is not a list, but {_shown(values)}')
    return PushedStream(tuple((name, _label_value(value)) for name, value in labels.items()), _columns_of_json(values))


def _label_value(value: Any) -> str:
    """A label's value; what is not a string is its JSON, as in Loki."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _columns_of_json(values: list[Any]) -> EntryColumns:
    times: list[int] = []
    lines: list[bytes] = []
    metadata: list[Metadata] = []
    for value in values:
        match value:
            case [str(time), str(line)]:
                pairs: Metadata = ()
            case [str(time), str(line), dict(named), *_]:
                pairs = _metadata_of_json(named)
            case [str(time)]:
                line, pairs = "", ()
            case _:
                raise PushSyntaxError(f'a value is not ["<time in ns>", "<line>", {{metadata}}], but {_shown(value)}')
        times.append(_time_of_json(time))
        lines.append(line.encode())
        metadata.append(pairs)
    return EntryColumns(times, lines, metadata if any(metadata) else None)


def _time_of_json(text: str) -> int:
    if not _TIME.match(text) or (time_ns := int(text)) not in _INT64:
        raise PushSyntaxError(f"{_shown(text)} is not a unix time in nanoseconds")
    return time_ns


def _metadata_of_json(pairs: dict[str, Any]) -> Metadata:
    if not all(isinstance(value, str) for value in pairs.values()):
        raise PushSyntaxError(f"structured metadata is not an object of strings, but {_shown(pairs)}")
    return tuple(pairs.items())


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
