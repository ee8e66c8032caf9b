"""Results in Loki's JSON, byte for byte as Go writes it: key order, escapes, numbers.

Source: Loki pkg/util/marshal, pkg/loghttp/query.go, pkg/logqlmodel/stats/stats.proto; Go encoding/json
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import orjson

from sillok.model.labels import LabelSet

Point: TypeAlias = tuple[int, float]  # (time_ns, value)
Value: TypeAlias = tuple[str, str] | tuple[str, str, Mapping[str, Any]]

_HTML = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_SEPARATORS = (("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029"))
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_GO_SPELLINGS = {b"b": b"\\u0008", b"f": b"\\u000c"}


@dataclass(frozen=True, slots=True)
class Stats:
    """What answering took. `lines` and `bytes` are those the store looked at; `returned` came out."""

    lines: int = 0
    bytes: int = 0
    returned: int = 0
    exec_s: float = 0.0
    queue_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """An entry that a tail did not get, because its client was too slow."""

    labels: LabelSet
    time_ns: int


def go_json(value: object) -> bytes:
    """`value` as Go's encoder writes it: it also escapes what HTML or JavaScript could trip over."""
    return _go_escaped(orjson.dumps(value))


def encode_streams(streams: Iterable[tuple[LabelSet, Sequence[Value]]]) -> bytes:
    """The `result` of a log query: the streams in the order given."""
    return go_json([{"stream": dict(labels), "values": values} for labels, values in streams])


def streams_body(result: bytes, stats: Stats, *, categorize: bool = False) -> bytes:
    """The body of a log query around its encoded `result`."""
    flags = b'"encodingFlags":["categorize-labels"],' if categorize else b""
    return b'{"status":"success","data":{"resultType":"streams",%s"result":%s,"stats":%s}}\n' % (
        flags,
        result,
        encode_stats(stats),
    )


def vector_body(samples: Sequence[tuple[LabelSet, Point]], stats: Stats) -> bytes:
    result = b",".join(b'{"metric":%s,"value":%s}' % (_metric(labels), _point(point)) for labels, point in samples)
    return _body(b"vector", b"[" + result + b"]", stats)


def encode_matrix(series: Iterable[tuple[LabelSet, Iterable[Point]]]) -> bytes:
    """The `result` of a range query: the series in the order given."""
    encoded = (
        b'{"metric":%s,"values":[%s]}' % (_metric(labels), b",".join(_point(point) for point in points))
        for labels, points in series
    )
    return b"[" + b",".join(encoded) + b"]"


def matrix_body(result: bytes, stats: Stats) -> bytes:
    """The body of a range query around its encoded `result`."""
    return _body(b"matrix", result, stats)


def scalar_body(point: Point, stats: Stats) -> bytes:
    """Loki writes a scalar's time in milliseconds, unlike a vector's; clients rely on what it writes."""
    time_ns, value = point
    return _body(b"scalar", b'[%d,"%s"]' % (time_ns // 1_000_000, format_float(value).encode()), stats)


def labels_body(names: Sequence[str]) -> bytes:
    """Names or values. Loki leaves `data` out when there are none."""
    return b'{"status":"success","data":%s}\n' % go_json(names) if names else b'{"status":"success"}\n'


def series_body(streams: Sequence[LabelSet]) -> bytes:
    return b'{"status":"success","data":%s}\n' % go_json([dict(labels) for labels in streams])


def index_stats_body(*, streams: int, chunks: int, size_bytes: int, entries: int) -> bytes:
    return b'{"streams":%d,"chunks":%d,"bytes":%d,"entries":%d}\n' % (streams, chunks, size_bytes, entries)


def tail_frame(result: bytes, dropped: Sequence[Dropped] = (), *, categorize: bool = False) -> bytes:
    """One message of a tail: streams, what had to be left out, and how it is encoded."""
    left_out = [{"timestamp": str(entry.time_ns), "labels": dict(entry.labels)} for entry in dropped]
    parts = [b'{"streams":%s' % result]
    if left_out:
        parts.append(b'"dropped_entries":%s' % go_json(left_out))
    if categorize:
        parts.append(b'"encodingFlags":["categorize-labels"]')
    return b",".join(parts) + b"}"


def format_float(value: float) -> str:
    """The shortest decimal that reads back as `value`, never with an exponent: Go's `'f', -1`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value.is_integer():
        # Go keeps the sign of a negative zero.
        return "-0" if value == 0 and math.copysign(1, value) < 0 else f"{Decimal(repr(value)):.0f}"
    return f"{Decimal(repr(value)):f}"


def encode_stats(stats: Stats) -> bytes:
    exec_s = max(stats.exec_s, 1e-9)
    summary = {
        "bytesProcessedPerSecond": int(stats.bytes / exec_s),
        "linesProcessedPerSecond": int(stats.lines / exec_s),
        "totalBytesProcessed": stats.bytes,
        "totalLinesProcessed": stats.lines,
        "execTime": round(stats.exec_s, 9),
        "queueTime": round(stats.queue_s, 9),
        "subqueries": 0,
        "totalEntriesReturned": stats.returned,
        "splits": 0,
        "shards": 1,
        "totalPostFilterLines": stats.returned,
        "totalStructuredMetadataBytesProcessed": 0,
    }
    return orjson.dumps(
        {
            "summary": summary,
            "querier": {"store": _store(stats), "querierExecTime": round(stats.exec_s, 9)},
            "ingester": {
                "totalReached": 0,
                "totalChunksMatched": 0,
                "totalBatches": 0,
                "totalLinesSent": 0,
                "store": _store(Stats()),
            },
            "cache": dict.fromkeys(_CACHES, _CACHE),
            "index": {
                "totalChunks": 0,
                "postFilterChunks": 0,
                "shardsDuration": 0,
                "usedBloomFilters": False,
                "totalStreams": 0,
                "chunkRefsLookupTime": 0,
                "bloomFilterTime": 0,
            },
        }
    )


# Loki's caches and chunks have no counterpart here; clients read the keys all the same.
_CACHES = (
    "chunk",
    "index",
    "result",
    "statsResult",
    "volumeResult",
    "seriesResult",
    "labelResult",
    "instantMetricResult",
    "logResult",
    "taskResult",
)
_CACHE = {
    "entriesFound": 0,
    "entriesRequested": 0,
    "entriesStored": 0,
    "bytesReceived": 0,
    "bytesSent": 0,
    "requests": 0,
    "downloadTime": 0,
    "queryLengthServed": 0,
}
_DATA_OBJECT = {
    "prePredicateDecompressedRows": 0,
    "prePredicateDecompressedBytes": 0,
    "prePredicateDecompressedStructuredMetadataBytes": 0,
    "postPredicateRows": 0,
    "postPredicateDecompressedBytes": 0,
    "postPredicateStructuredMetadataBytes": 0,
    "postFilterRows": 0,
    "pagesScanned": 0,
    "pagesDownloaded": 0,
    "pagesDownloadedBytes": 0,
    "pageBatches": 0,
    "totalRowsAvailable": 0,
    "totalPageDownloadTime": 0,
    "wireBytesTransferred": 0,
}


def _store(stats: Stats) -> dict[str, Any]:
    return {
        "totalChunksRef": 0,
        "totalChunksDownloaded": 0,
        "chunksDownloadTime": 0,
        "queryReferencedStructuredMetadata": False,
        "queryUsedV2Engine": False,
        "chunk": {
            "headChunkBytes": 0,
            "headChunkLines": 0,
            "decompressedBytes": stats.bytes,
            "decompressedLines": stats.lines,
            "compressedBytes": 0,
            "totalDuplicates": 0,
            "postFilterLines": stats.returned,
            "headChunkStructuredMetadataBytes": 0,
            "decompressedStructuredMetadataBytes": 0,
        },
        "chunkRefsFetchTime": 0,
        "congestionControlLatency": 0,
        "pipelineWrapperFilteredLines": 0,
        "dataobj": _DATA_OBJECT,
    }


def _body(kind: bytes, result: bytes, stats: Stats) -> bytes:
    return b'{"status":"success","data":{"resultType":"%s","result":%s,"stats":%s}}' % (
        kind,
        result,
        encode_stats(stats),
    )


def _metric(labels: LabelSet) -> bytes:
    return go_json(dict(labels))


def _point(point: Point) -> bytes:
    time_ns, value = point
    return f'[{_seconds(time_ns)},"{format_float(value)}"]'.encode()


def _seconds(time_ns: int) -> str:
    """Seconds with at most three decimals, as Prometheus' JSON has them."""
    milliseconds = time_ns // 1_000_000
    whole, rest = divmod(abs(milliseconds), 1000)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{'-' if milliseconds < 0 else ''}{whole}{fraction}"


def _go_escaped(body: bytes) -> bytes:
    for char, spelled in (*_HTML, *_SEPARATORS):
        if char in body:
            body = body.replace(char, spelled)
    if b"\\b" in body or b"\\f" in body:
        body = _ESCAPE.sub(lambda found: _GO_SPELLINGS.get(found[1], found[0]), body)
    return body
