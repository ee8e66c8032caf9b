"""Sillok's own log: logfmt on standard error, a line an event, level first to be found by anybody's tools."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

LEVEL_NAMES = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "CRITICAL": "error"}
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class Logfmt(logging.Formatter):
    """`ts=… level=info logger=sillok.store msg="…"`; a traceback is one value, so that a line stays an event."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level = LEVEL_NAMES.get(record.levelname, record.levelname.lower())
        line = f"ts={at.removesuffix('+00:00')}Z level={level} logger={record.name} msg={_quoted(record.getMessage())}"
        if record.exc_info:
            line += f" error={_quoted(self.formatException(record.exc_info))}"
        return line


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Everything logged by this process goes to `stream` (standard error); other libraries only when they warn."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Logfmt())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sillok").setLevel(LEVELS[level])
    logging.captureWarnings(True)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
