"""Entries and results as text: pretty for people, raw and jsonl for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from sillok.cli import times
from sillok.cli.terminal import DIM, LEVEL_COLOURS, has_colour, paint
from sillok.client.loki import LogEntry
from sillok.model.labels import format_labels, label_set

# Labels that say where a line is from, the first one there is.
_NAMES = ("service", "service_name", "app", "container", "job")
_LEVELS = ("level", "detected_level")
_SHORT_LEVELS = {"warning": "warn", "err": "error", "information": "info", "unknown": ""}

# Bytes of a terminal's control sequences in a line must not reach the terminal of whoever reads logs.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), 127, *range(128, 160))}


class LinePrinter:
    def __init__(self, output: str, *, colour: str, all_labels: bool, utc: bool, stream: TextIO | None = None) -> None:
        self._output = output
        self._stream = stream or sys.stdout
        self._colour = has_colour(colour, self._stream)
        self._all_labels = all_labels
        self._utc = utc
        self._is_terminal = self._stream.isatty()

    def show(self, entry: LogEntry) -> None:
        match self._output:
            case "raw":
                text = self._safe(entry.line)
            case "jsonl":
                text = _json_line(entry)
            case _:
                text = self._pretty(entry)
        self._stream.write(text + "\n")

    def show_result(self, kind: str, result: Any) -> None:
        """A metric query's answer: a line a sample."""
        for labels, time_ns, value in _samples(kind, result):
            if self._output == "jsonl":
                text = json.dumps({"metric": labels, "time": time_ns / 1e9, "value": value}, ensure_ascii=False)
            elif self._output == "raw":
                text = value
            else:
                at = paint(times.show_time(time_ns, utc=self._utc), DIM, enabled=self._colour)
                text = f"{at}  {format_labels(label_set(labels))}  {value}"
            self._stream.write(text + "\n")

    def flush(self) -> None:
        self._stream.flush()

    def _pretty(self, entry: LogEntry) -> str:
        pairs = {**dict(entry.metadata), **dict(entry.labels)}
        level = next((pairs[name] for name in _LEVELS if name in pairs), "")
        level = _SHORT_LEVELS.get(level.lower(), level.lower())
        at = paint(times.show_time(entry.time_ns, utc=self._utc), DIM, enabled=self._colour)
        shown_level = paint(f"{level or '-':5}", LEVEL_COLOURS.get(level, ""), enabled=self._colour)
        origin = paint(self._origin(entry, pairs), DIM, enabled=self._colour)
        return f"{at} {shown_level} {origin}  {self._safe(entry.line)}"

    def _origin(self, entry: LogEntry, pairs: Mapping[str, str]) -> str:
        name = next((pairs[label] for label in _NAMES if label in pairs), "")
        if self._all_labels or not name:
            return format_labels(entry.labels)
        return f"{name}@{pairs['host']}" if "host" in pairs else name

    def _safe(self, line: str) -> str:
        return line.translate(_CONTROL) if self._is_terminal else line


def _json_line(entry: LogEntry) -> str:
    """logcli's keys, and the metadata where there is any."""
    at = datetime.fromtimestamp(entry.time_ns // times.SECOND_NS, UTC)
    nanoseconds = f"{entry.time_ns % times.SECOND_NS:09d}".rstrip("0")
    record: dict[str, Any] = {"labels": dict(entry.labels), "line": entry.line}
    if entry.metadata:
        record["metadata"] = dict(entry.metadata)
    record["timestamp"] = f"{at:%Y-%m-%dT%H:%M:%S}{'.' if nanoseconds else ''}{nanoseconds}Z"
    return json.dumps(record, ensure_ascii=False)


def _samples(kind: str, result: Any) -> Iterator[tuple[Mapping[str, str], int, str]]:
    match kind:
        case "scalar":
            yield {}, _time_ns(result), str(result[1])
        case "vector":
            for sample in result:
                yield sample["metric"], _time_ns(sample["value"]), str(sample["value"][1])
        case "matrix":
            for series in result:
                for value in series["values"]:
                    yield series["metric"], _time_ns(value), str(value[1])


def _time_ns(value: Sequence[Any]) -> int:
    return round(float(value[0]) * 1000) * 1_000_000
