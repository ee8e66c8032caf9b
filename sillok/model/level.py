"""The levels of a line, and the spellings of them that Loki knows.

Source:  Loki pkg/distributor/field_detection.go `normalizeLogLevel`
"""

from __future__ import annotations

UNKNOWN = "unknown"
DO_NOT_DETECT = "-"  # As a hint to the store: the level stays empty.

SPELLINGS = {
    "trace": "trace",
    "trc": "trace",
    "debug": "debug",
    "dbg": "debug",
    "info": "info",
    "inf": "info",
    "information": "info",
    "warn": "warn",
    "wrn": "warn",
    "warning": "warn",
    "error": "error",
    "err": "error",
    "critical": "critical",
    "fatal": "fatal",
}
