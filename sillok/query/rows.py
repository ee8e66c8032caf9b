"""Rows of the logs table into the `result` of a log query. Runs on a thread, or in a worker process when it is much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sillok.model.labels import LabelSet, format_labels, label_set
from sillok.wire import loki_result
from sillok.wire.loki_result import Value

if TYPE_CHECKING:
    import pyarrow as pa

DETECTED_LEVEL = "detected_level"


class EncodeRows(Protocol):
    """How entries are put into streams."""

    def __call__(self, rows: pa.Table, labels: Mapping[int, LabelSet], *, categorize: bool = False) -> bytes: ...


def encode_rows(rows: pa.Table, labels: Mapping[int, LabelSet], *, categorize: bool = False) -> bytes:
    """The entries in `rows`, in their order, as streams in Loki's order (by the text of their labels).

    A stream is what shares labels and structured metadata; with `categorize` the metadata stands at each entry.
    """
    streams: dict[LabelSet, list[Value]] = {}
    for own, value in _entries(rows, labels, categorize=categorize):
        streams.setdefault(own, []).append(value)
    return loki_result.encode_streams(sorted(streams.items(), key=lambda stream: format_labels(stream[0])))


def encode_in_time(rows: pa.Table, labels: Mapping[int, LabelSet], *, categorize: bool = False) -> bytes:
    """The entries in `rows`, in their order, each a stream of its own: what a tail sends, as in Loki."""
    return loki_result.encode_streams((own, [value]) for own, value in _entries(rows, labels, categorize=categorize))


def _entries(rows: pa.Table, labels: Mapping[int, LabelSet], *, categorize: bool) -> Iterator[tuple[LabelSet, Value]]:
    """Each entry: the labels it is shown under, and its value."""
    columns = rows_to_columns(rows)
    known: dict[tuple[int, tuple[tuple[str, str], ...], str], tuple[LabelSet, Mapping[str, Any]]] = {}
    times = map(str, columns["ts"])
    for sid, time, line, meta, level in zip(
        columns["sid"], times, columns["line"], columns["meta"], columns["level"], strict=True
    ):
        key = (sid, tuple(meta), level)
        shown = known.get(key)
        if shown is None:
            metadata = entry_metadata(labels[sid], meta, level)
            merged = labels[sid] if categorize else label_set({**dict(labels[sid]), **metadata})
            shown = known[key] = (merged, {"structuredMetadata": metadata} if metadata else {})
        yield shown[0], ((time, line, shown[1]) if categorize else (time, line))


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
