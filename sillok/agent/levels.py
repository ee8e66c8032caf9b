r"""The level that a line names, as a label: few values, spelled one way.

Found in this order of place, the first in the line wins: a key (`"level":"info"`, `level=info`,
`"error_severity":"LOG"`, pino's numbers), a word in capitals (`INFO`, `[WARN]`), a word of any case
that is marked as a level (`[error]`, `warning:`, `, Info   `), glog's and Android's letter. A line that
names none has no label `level`; the store's own `detected_level` guesses further.

A JSON line is asked for its keys only: the words of its message say nothing about its level.

Source: Loki pkg/distributor/field_detection.go for the words; the spelling is Loki's.
"""

from __future__ import annotations

import re

HEAD_BYTES = 256  # Prefixes of log lines are shorter; a word further on belongs to the message.
JSON_HEAD_BYTES = 8192  # winston and pino sort keys or put the message first.

_SPELLINGS = {
    "trace": ("trace", "trc", "verbose", "finest"),
    "debug": ("debug", "dbg", "fine"),
    "info": ("info", "inf", "information", "informational", "notice", "log", "ok"),
    "warn": ("warn", "wrn", "warning"),
    "error": ("error", "err", "eror", "severe", "fail"),
    "critical": ("critical", "crit", "alert", "emerg", "emergency"),
    "fatal": ("fatal", "panic"),
}
LEVELS = tuple(_SPELLINGS)
_BY_WORD = {word.encode(): level for level, words in _SPELLINGS.items() for word in words}
_BY_LETTER = {b"V": "trace", b"D": "debug", b"I": "info", b"W": "warn", b"E": "error", b"F": "fatal"}
_BY_NUMBER = ((20, "trace"), (30, "debug"), (40, "info"), (50, "warn"), (60, "error"))  # pino: below → level

_KEYS = rb"(?:level|levelname|lvl|loglevel|log\.level|severity|severity_text|error_severity)"
_JSON_KEY = re.compile(rb'(?i:"' + _KEYS + rb'")\s*:\s*(?:"([A-Za-z]{2,13})"|(\d{1,2})\b)')
# Words that also are everyday words count only where they are marked (`LOG:`).
_CAPITALS = rb"TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|CRIT|FATAL|PANIC|EMERG(?:ENCY)?|ALERT|SEVERE"
_MARKED = rb"trace|debug|info|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|panic|emerg(?:ency)?|alert|severe|log"
_WORD = (
    rb"(?:"
    rb"(?:[Ll]evel|LEVEL|levelname|loglevel|lvl|severity)=[\"']?([A-Za-z]{2,13})\b"
    rb"|(" + _CAPITALS + rb")(?!\w|-\w)"
    rb"|(?i:(" + _MARKED + rb"))(?:[\]>|:](?!:)|\s\s+(?=\S))"
    rb")"
)
# Two patterns and not one with a look-behind: the engine skips to a set of first bytes four times as fast.
_AT_START = re.compile(_WORD)
_WITHIN = re.compile(rb"[^\w.]" + _WORD)
_COLOUR = re.compile(rb"\x1b\[[\d;]*m")
_LETTER = re.compile(
    rb"\[?([IWEF])\d{4} \d\d:\d\d:"  # glog, torch: W1120 13:21:38
    rb"|\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +\d+ +\d+ ([VDIWEF]) "  # Android
)


def level_of(line: bytes) -> str | None:
    """The level that `line` names, or None."""
    if b"\x1b" in line:
        line = _COLOUR.sub(b"", line[:JSON_HEAD_BYTES])
    first = line[:1]
    if first == b"{":
        return _level_of_json(line)
    found = _AT_START.match(line) or _WITHIN.search(line, 0, HEAD_BYTES)
    if found is not None:
        return _BY_WORD.get(found[found.lastindex or 0].lower())
    if first.isalnum() or first == b"[":
        letter = _LETTER.match(line)
        if letter is not None:
            return _BY_LETTER[letter[letter.lastindex or 0]]
    return None


def _level_of_json(line: bytes) -> str | None:
    found = _JSON_KEY.search(line, 0, JSON_HEAD_BYTES)
    if found is None:
        return None
    if found[1] is not None:
        return _BY_WORD.get(found[1].lower())
    number = int(found[2])
    return next((level for below, level in _BY_NUMBER if number < below), "fatal")
