"""Entries as text."""

from __future__ import annotations

import io
import json

import pytest

from sillok.cli.lines import LinePrinter
from sillok.client.loki import LogEntry

ENTRY = LogEntry(
    1_795_237_200_123_456_700,
    "boom \x1b[31mred",
    (("host", "backend"), ("level", "error"), ("service", "api")),
    (("trace", "x"),),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(output: str, stream: io.StringIO | None = None, colour: str = "auto", all_labels: bool = False) -> str:
    stream = stream or io.StringIO()
    LinePrinter(output, colour=colour, all_labels=all_labels, utc=True, stream=stream).show(ENTRY)
    return stream.getvalue()


def test_pretty_shows_time_level_origin_and_line() -> None:
    assert shown("pretty") == "2026-11-21T05:00:00.123Z error api@backend  boom \x1b[31mred\n"


def test_pretty_can_show_all_labels() -> None:
    assert '{host="backend", level="error", service="api"}' in shown("pretty", all_labels=True)


def test_raw_is_the_line_and_nothing_else() -> None:
    assert shown("raw") == "boom \x1b[31mred\n"


def test_jsonl_has_logclis_keys_and_the_metadata() -> None:
    assert json.loads(shown("jsonl")) == {
        "labels": {"host": "backend", "level": "error", "service": "api"},
        "line": "boom \x1b[31mred",
        "metadata": {"trace": "x"},
        "timestamp": "2026-11-21T05:00:00.1234567Z",
    }


def test_a_line_cannot_control_the_terminal_of_its_reader() -> None:
    assert "boom \\x1b[31mred" in shown("raw", Terminal())
    assert "boom \\x1b[31mred" in shown("pretty", Terminal(), colour="never")


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\033[31merror\033[0m" in shown("pretty", Terminal())
    assert "\033[31merror" not in shown("pretty")
    assert "\033[31merror" in shown("pretty", colour="always")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033[" not in shown("pretty", Terminal())


def test_samples_are_a_line_each() -> None:
    stream = io.StringIO()
    printer = LinePrinter("pretty", colour="never", all_labels=False, utc=True, stream=stream)
    printer.show_result("matrix", [{"metric": {"app": "a"}, "values": [[1795237200, "1"], [1795237260.5, "2"]]}])
    printer.show_result("vector", [{"metric": {}, "value": [1795237200, "3"]}])
    printer.show_result("scalar", [1795237200, "4"])
    assert stream.getvalue().splitlines() == [
        '2026-11-21T05:00:00.000Z  {app="a"}  1',
        '2026-11-21T05:01:00.500Z  {app="a"}  2',
        "2026-11-21T05:00:00.000Z  {}  3",
        "2026-11-21T05:00:00.000Z  {}  4",
    ]
