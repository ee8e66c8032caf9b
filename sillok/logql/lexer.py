"""Text → tokens of all of LogQL, as Loki's lexer cuts them, positions in error texts included.

Source: Loki pkg/logql/syntax/lex.go, syntax.y; Go text/scanner. A position is the token's line and column
in characters; a token that Loki finishes by reading on after its scanner (`|=`, `5m`, `[5m]`) has line 0 there,
and so here, because clients show these texts.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum

from sillok.errors import QuerySyntaxError
from sillok.text import bytesize, duration


class Kind(Enum):
    """Kinds of tokens, by the name Loki's messages give them; in the order in which they name expected ones."""

    END = "$end"
    BYTES = "BYTES"
    IDENTIFIER = "IDENTIFIER"
    STRING = "STRING"
    NUMBER = "NUMBER"
    FLAG = "FUNCTION_FLAG"
    DURATION = "DURATION"
    RANGE = "RANGE"
    EQ = "="
    RE = "=~"
    NRE = "!~"
    NPA = "!>"
    OPEN_BRACE = "{"
    CLOSE_BRACE = "}"
    OPEN_BRACKET = "["
    CLOSE_BRACKET = "]"
    COMMA = ","
    DOT = "."
    PIPE_MATCH = "|~"
    PIPE_EXACT = "|="
    PIPE_PATTERN = "|>"
    OPEN_PAREN = "("
    CLOSE_PAREN = ")"
    BY = "by"
    WITHOUT = "without"
    COUNT_OVER_TIME = "COUNT_OVER_TIME"
    RATE = "RATE"
    RATE_COUNTER = "RATE_COUNTER"
    SUM = "SUM"
    SORT = "SORT"
    SORT_DESC = "SORT_DESC"
    AVG = "AVG"
    MAX = "MAX"
    MIN = "MIN"
    COUNT = "COUNT"
    STDDEV = "STDDEV"
    STDVAR = "STDVAR"
    BOTTOMK = "BOTTOMK"
    TOPK = "TOPK"
    APPROX_TOPK = "APPROX_TOPK"
    BYTES_OVER_TIME = "BYTES_OVER_TIME"
    BYTES_RATE = "BYTES_RATE"
    BOOL = "bool"
    JSON = "json"
    XML = "xml"
    REGEXP = "regexp"
    LOGFMT = "logfmt"
    PIPE = "|"
    LINE_FORMAT = "line_format"
    LABEL_FORMAT = "label_format"
    UNWRAP = "unwrap"
    AVG_OVER_TIME = "AVG_OVER_TIME"
    SUM_OVER_TIME = "SUM_OVER_TIME"
    MIN_OVER_TIME = "MIN_OVER_TIME"
    MAX_OVER_TIME = "MAX_OVER_TIME"
    STDVAR_OVER_TIME = "STDVAR_OVER_TIME"
    STDDEV_OVER_TIME = "STDDEV_OVER_TIME"
    QUANTILE_OVER_TIME = "QUANTILE_OVER_TIME"
    BYTES_CONV = "BYTES_CONV"
    DURATION_CONV = "DURATION_CONV"
    DURATION_SECONDS_CONV = "DURATION_SECONDS_CONV"
    FIRST_OVER_TIME = "FIRST_OVER_TIME"
    LAST_OVER_TIME = "LAST_OVER_TIME"
    ABSENT_OVER_TIME = "ABSENT_OVER_TIME"
    VECTOR = "VECTOR"
    LABEL_REPLACE = "label_replace"
    UNPACK = "unpack"
    OFFSET = "offset"
    PATTERN = "pattern"
    IP = "ip"
    ON = "on"
    IGNORING = "ignoring"
    GROUP_LEFT = "group_left"
    GROUP_RIGHT = "group_right"
    DECOLORIZE = "decolorize"
    DROP = "drop"
    KEEP = "keep"
    VARIANTS = "variants"
    OF = "of"
    OR = "or"
    AND = "and"
    UNLESS = "unless"
    CMP_EQ = "=="
    NEQ = "!="
    LT = "<"
    LTE = "<="
    GT = ">"
    GTE = ">="
    ADD = "+"
    SUB = "-"
    MUL = "*"
    DIV = "/"
    MOD = "%"
    POW = "^"


# Words that are one of these only before `(`, or before `by (` and `without (`; else they are identifiers.
FUNCTIONS = {
    "rate": Kind.RATE,
    "rate_counter": Kind.RATE_COUNTER,
    "count_over_time": Kind.COUNT_OVER_TIME,
    "bytes_rate": Kind.BYTES_RATE,
    "bytes_over_time": Kind.BYTES_OVER_TIME,
    "avg_over_time": Kind.AVG_OVER_TIME,
    "sum_over_time": Kind.SUM_OVER_TIME,
    "min_over_time": Kind.MIN_OVER_TIME,
    "max_over_time": Kind.MAX_OVER_TIME,
    "stdvar_over_time": Kind.STDVAR_OVER_TIME,
    "stddev_over_time": Kind.STDDEV_OVER_TIME,
    "quantile_over_time": Kind.QUANTILE_OVER_TIME,
    "first_over_time": Kind.FIRST_OVER_TIME,
    "last_over_time": Kind.LAST_OVER_TIME,
    "absent_over_time": Kind.ABSENT_OVER_TIME,
    "vector": Kind.VECTOR,
    "sum": Kind.SUM,
    "avg": Kind.AVG,
    "max": Kind.MAX,
    "min": Kind.MIN,
    "count": Kind.COUNT,
    "stddev": Kind.STDDEV,
    "stdvar": Kind.STDVAR,
    "bottomk": Kind.BOTTOMK,
    "topk": Kind.TOPK,
    "approx_topk": Kind.APPROX_TOPK,
    "sort": Kind.SORT,
    "sort_desc": Kind.SORT_DESC,
    "label_replace": Kind.LABEL_REPLACE,
    "bytes": Kind.BYTES_CONV,
    "duration": Kind.DURATION_CONV,
    "duration_seconds": Kind.DURATION_SECONDS_CONV,
    "ip": Kind.IP,
    "variants": Kind.VARIANTS,
}
_FUNCTION_NAMES = {kind for kind in FUNCTIONS.values() if kind.value.isupper()}
# All that is spelled as it is named. A word of FUNCTIONS is looked up there first.
WORDS = {
    kind.value: kind
    for kind in Kind
    if kind not in _FUNCTION_NAMES
    and kind
    not in (
        Kind.END,
        Kind.BYTES,
        Kind.IDENTIFIER,
        Kind.STRING,
        Kind.NUMBER,
        Kind.FLAG,
        Kind.DURATION,
        Kind.RANGE,
    )
}
PARSER_FLAGS = ("--strict", "--keep-empty")

_SPACE = " \t\n\r"
_IS_FUNCTION = re.compile(r"\s*(?:\(|(?:by|without)\s*\()", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?"
)
_DURATION_TAIL = re.compile(r"[\d.nuµmshdwy]+")
_BYTES_TAIL = re.compile(r"[\d.BikKMGTP]+")
_FLAG_TAIL = re.compile(r"-[^\W\d_-]*(?:-[^\W\d_]*)*")
_CHAR = re.compile(r"'(?:\\.[^'\n]*|[^'\\\n])'")
_RAW = re.compile(r"`[^`]*`")
_SIMPLE_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True, slots=True)
class Token:
    """`value`: a string's text, a number's spelling, a duration in nanoseconds, a size in bytes."""

    kind: Kind
    value: str | int
    offset: int
    line: int
    column: int


class Lexer:
    """Cuts one text. Tokens are made when asked for: what is wrong first is said first."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_ends = [found.start() for found in re.finditer("\n", text)]
        self._at = 0
        self._start = 0

    def next(self) -> Token:
        self._skip()
        self._start = self._at
        if self._at >= len(self._text):
            return self._token(Kind.END, "")
        match self._text[self._at]:
            case '"':
                return self._string()
            case "`":
                return self._raw_string()
            case "'":
                return self._character()
            case "[":
                return self._range()
            case "-":
                return self._minus()
        if _NUMBER.match(self._text, self._at):
            return self._number()
        if _IDENTIFIER.match(self._text, self._at):
            return self._word()
        return self._symbol()

    def _skip(self) -> None:
        """Blanks and comments: `# …`, `// …`, `/* … */`."""
        text = self._text
        while self._at < len(text):
            if text[self._at] in _SPACE:
                self._at += 1
            elif text[self._at] == "#" or text.startswith("//", self._at):
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            elif text.startswith("/*", self._at):
                end = text.find("*/", self._at + 2)
                if end < 0:
                    self._start = self._at
                    raise self._error("comment not terminated")
                self._at = end + 2
            else:
                return

    def _string(self) -> Token:
        at, written = self._at + 1, bytearray()
        while (char := self._text[at : at + 1]) != '"':
            if char in ("", "\n"):
                raise self._error("literal not terminated")
            if char == "\\":
                at = self._escape(at + 1, written)
            else:
                written += char.encode("utf-8", "surrogatepass")
                at += 1
        self._at = at + 1
        return self._token(Kind.STRING, bytes(written).decode("utf-8", "surrogateescape"))

    def _escape(self, at: int, written: bytearray) -> int:
        """Append what the escape whose letter stands at `at` means; where the text goes on."""
        letter = self._text[at : at + 1]
        if letter in _SIMPLE_ESCAPES:
            written.append(_SIMPLE_ESCAPES[letter])
            return at + 1
        base, digits, start = (8, 3, at) if letter in tuple("01234567") else (16, _HEX_DIGITS.get(letter, 0), at + 1)
        spelled = self._text[start : start + digits]
        allowed = "01234567" if base == 8 else "0123456789abcdefABCDEF"
        if not digits or len(spelled) < digits or spelled.strip(allowed):
            raise self._error("invalid char escape" if letter else "literal not terminated")
        value = int(spelled, base)
        if letter in ("u", "U"):
            if value > 0x10FFFF:
                raise self._error("invalid syntax")
            written += (chr(value) if not 0xD800 <= value < 0xE000 else "\ufffd").encode()
        elif value > 255:
            raise self._error("invalid syntax")
        else:
            written.append(value)
        return start + digits

    def _raw_string(self) -> Token:
        found = _RAW.match(self._text, self._at)
        if found is None:
            raise self._error("literal not terminated")
        self._at = found.end()
        # Go's scanner drops carriage returns from raw strings.
        return self._token(Kind.STRING, found[0][1:-1].replace("\r", ""))

    def _character(self) -> Token:
        """`'a'` is a token to Loki's scanner, and no LogQL."""
        found = _CHAR.match(self._text, self._at)
        if found is None:
            is_closed = "'" in self._text[self._at + 1 :].partition("\n")[0]
            raise self._error("invalid char literal" if is_closed else "literal not terminated")
        self._at = found.end()
        return self._token(Kind.IDENTIFIER, found[0])

    def _range(self) -> Token:
        end = self._text.find("]", self._at)
        if end < 0:
            raise self._error("missing closing ']' in duration", has_line=False)
        try:
            range_ns = duration.parse_prometheus(self._text[self._at + 1 : end])
        except duration.DurationError as error:
            raise self._error(str(error), has_line=False) from None
        self._at = end + 1
        return self._token(Kind.RANGE, range_ns, has_line=False)

    def _minus(self) -> Token:
        flag = _FLAG_TAIL.match(self._text, self._at + 1)
        if flag is not None and f"-{flag[0]}" in PARSER_FLAGS:
            self._at = flag.end()
            return self._token(Kind.FLAG, f"-{flag[0]}", has_line=False)
        return self._duration(self._at + 1) or self._symbol()

    def _number(self) -> Token:
        found = _NUMBER.match(self._text, self._at)
        assert found is not None
        measured = self._duration(found.end()) or self._bytes(found.end())
        if measured is not None:
            return measured
        self._at = found.end()
        return self._token(Kind.NUMBER, found[0])

    def _duration(self, tail_at: int) -> Token | None:
        tail = _DURATION_TAIL.match(self._text, tail_at)
        if tail is None:
            return None
        try:
            duration_ns = duration.parse(self._text[self._at : tail.end()])
        except duration.DurationError:
            return None
        self._at = tail.end()
        return self._token(Kind.DURATION, duration_ns, has_line=False)

    def _bytes(self, tail_at: int) -> Token | None:
        tail = _BYTES_TAIL.match(self._text, tail_at)
        if tail is None:
            return None
        try:
            size = bytesize.parse(self._text[self._at : tail.end()])
        except bytesize.ByteSizeError:
            return None
        self._at = tail.end()
        return self._token(Kind.BYTES, size, has_line=False)

    def _word(self) -> Token:
        found = _IDENTIFIER.match(self._text, self._at)
        assert found is not None
        word, self._at = found[0], found.end()
        function = FUNCTIONS.get(word.lower())
        if function is not None:
            is_called = _IS_FUNCTION.match(self._text, self._at) is not None
            return self._token(function if is_called else Kind.IDENTIFIER, word)
        return self._token(WORDS.get(word.lower(), Kind.IDENTIFIER), word)

    def _symbol(self) -> Token:
        for length in (2, 1):
            spelled = self._text[self._at : self._at + length]
            if spelled in WORDS and len(spelled) == length:
                self._at += length
                return self._token(WORDS[spelled], spelled, has_line=length == 1)
        self._at += 1
        return self._token(Kind.IDENTIFIER, self._text[self._start])

    def _token(self, kind: Kind, value: str | int, *, has_line: bool = True) -> Token:
        line, column = self._position()
        return Token(kind, value, self._start, line if has_line else 0, column)

    def _position(self) -> tuple[int, int]:
        if not self._text:
            return 0, 0
        lines = bisect_left(self._line_ends, self._start)
        return lines + 1, self._start - (self._line_ends[lines - 1] if lines else -1)

    def _error(self, message: str, *, has_line: bool = True) -> QuerySyntaxError:
        line, column = self._position()
        return syntax_error(message, offset=self._start, line=line if has_line else 0, column=column)


def syntax_error(message: str, *, offset: int = 0, line: int = 0, column: int = 0) -> QuerySyntaxError:
    """An error with Loki's head: with a position, or without one when it is about the query as a whole."""
    at = f" at line {line}, col {column}" if line or column else " "
    return QuerySyntaxError(f"parse error{at}: {message}", offset=offset, line=line, column=column)
