"""Rows of the logs table into the `result` of a log query. Runs on a thread, or in a worker process when it is much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sillok.model.labels import LabelSet, format_labels
from sillok.wire import loki_result

if TYPE_CHECKING:
    import pyarrow as pa

DETECTED_LEVEL = "detected_level"


def encode_rows(rows: pa.Table, labels: Mapping[int, LabelSet], *, categorize: bool = False) -> bytes:
    """The entries in `rows`, in their order, as streams in Loki's order (by the text of their labels).

    A stream is what shares labels and structured metadata; with `categorize` the metadata stands at each entry.
    """
    columns = rows_to_columns(rows)
    entries = zip(columns["sid"], columns["ts"], columns["line"], columns["meta"], columns["level"], strict=True)
    streams: dict[Any, tuple[LabelSet, list[loki_result.Value]]] = {}
    for sid, time_ns, line, meta, level in entries:
        key = sid if categorize else (sid, tuple(meta), level)
        stream = streams.get(key)
        if stream is None:
            own = labels[sid]
            merged = own if categorize else tuple(sorted({**dict(own), **entry_metadata(own, meta, level)}.items()))
            stream = streams[key] = (merged, [])
        if categorize:
            metadata = entry_metadata(labels[sid], meta, level)
            extra = {"structuredMetadata": metadata} if metadata else {}
            stream[1].append((str(time_ns), line, extra))
        else:
            stream[1].append((str(time_ns), line))
    return loki_result.encode_streams(sorted(_merged(streams.values()), key=lambda stream: format_labels(stream[0])))


def entry_metadata(labels: LabelSet, meta: Sequence[tuple[str, str]], level: str) -> dict[str, str]:
    """An entry's metadata by the names a query sees: the detected level is one of them, and a name that the
    stream has as a label gets `_extracted` behind it, as in Loki."""
    found = dict(meta)
    if level and DETECTED_LEVEL not in found:
        found[DETECTED_LEVEL] = level
    own = {name for name, _ in labels}
    return {(f"{name}_extracted" if name in own else name): found[name] for name in sorted(found) if found[name]}


def rows_to_columns(rows: pa.Table) -> dict[str, list[Any]]:
    """The columns as Python lists; what is not UTF-8 in a line comes out as U+FFFD."""
    columns = {name: rows.column(name) for name in rows.column_names}
    return {name: _texts(column) if name == "line" else column.to_pylist() for name, column in columns.items()}


def _texts(column: pa.ChunkedArray) -> list[str]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        import pyarrow as pa

        return [line.decode(errors="replace") for line in column.cast(pa.binary()).to_pylist()]


def _merged(
    streams: Any,
) -> list[tuple[LabelSet, list[loki_result.Value]]]:
    """Streams whose labels came out the same are one."""
    by_labels: dict[LabelSet, list[loki_result.Value]] = {}
    for labels, values in streams:
        by_labels.setdefault(labels, []).extend(values)
    return list(by_labels.items())
