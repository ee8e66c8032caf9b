"""The text of a label set, `{app="api", host="a"}`, as a Loki push carries it.

Source:  Prometheus promql/parser (`ParseMetric`) and util/strutil (`Unquote`); error texts as Loki returns them
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from sillok.errors import PushSyntaxError

METRIC_NAME = "__name__"  # `api{a="b"}` and `{"api", a="b"}` are this label.

_PLAIN = re.compile(r'\{[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"(?:, ?[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*")*\}\Z')
_PLAIN_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\\n]*)"')

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LONG_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_OPERATORS = ("=~", "!~", "!=", "=", ",", "}")
_STRINGS = {
    '"': re.compile(r'"(?:[^"\\\n]|\\[^\n])*"'),
    "'": re.compile(r"'(?:[^'\\\n]|\\[^\n])*'"),
    "`": re.compile(r"`[^`]*`"),
}
_ESCAPE = re.compile(r"\\(x.{0,2}|u.{0,4}|U.{0,8}|[0-7].{0,2}|.)", re.DOTALL)
_SIMPLE_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_OCTAL_DIGITS = frozenset("01234567")


def parse_labels(text: str) -> list[tuple[str, str]]:
    """The pairs of `text` in the order written, duplicates and empty values included.

    Raises:
        PushSyntaxError: `text` is not a label set; Loki's words.
    """
    if _PLAIN.match(text):
        return _PLAIN_PAIR.findall(text)
    return _Parser(text).labels()


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind` is a mark or an operator itself, or `name`, `string`, `end`."""

    kind: str
    text: str
    at: int

    def __str__(self) -> str:
        match self.kind:
            case "name":
                return f'identifier "{self.text}"'
            case "string":
                text = self.text.replace("\\", "\\\\").replace('"', '\\"')
                return f'string "{text}"'
            case "end":
                return "end of input"
            case "=~" | "!~" | "!=":
                return f"<op:{self.kind}>"
        return f'"{self.kind}"'


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._lex()
        self._ahead: _Token | None = None

    def labels(self) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        token = self._take()
        if token.kind == "name":
            pairs.append((METRIC_NAME, token.text))
            token = self._take()
        if token.kind == "{":
            pairs.extend(self._pairs())
            token = self._take()
        if token.kind != "end":
            raise self._error(token.at, f"unexpected {token}")
        return pairs

    def _pairs(self) -> Iterator[tuple[str, str]]:
        while (token := self._take()).kind != "}":
            if token.kind not in ("name", "string"):
                raise self._unexpected(token, 'identifier or "}"')
            yield self._pair(token)
            token = self._take()
            if token.kind == "}":
                return
            if token.kind != ",":
                raise self._unexpected(token, '"," or "}"')

    def _pair(self, name: _Token) -> tuple[str, str]:
        if name.kind == "string" and self._peek().kind in (",", "}"):
            return METRIC_NAME, self._unquoted(name)
        equals = self._take()
        if equals.kind != "=":
            raise self._unexpected(equals, '"="')
        value = self._take()
        if value.kind != "string":
            raise self._unexpected(value, "string")
        return (name.text if name.kind == "name" else self._unquoted(name)), self._unquoted(value)

    def _peek(self) -> _Token:
        if self._ahead is None:
            self._ahead = next(self._tokens)
        return self._ahead

    def _take(self) -> _Token:
        token = self._peek()
        self._ahead = None
        return token

    def _lex(self) -> Iterator[_Token]:
        place = self._after_space(0)
        if name := _LONG_NAME.match(self._text, place):
            yield _Token("name", name[0], place)
            place = self._after_space(name.end())
        if self._text.startswith("{", place):
            yield _Token("{", "{", place)
            place = yield from self._lex_braces(place + 1)
            place = self._after_space(place)
        if place == len(self._text):
            yield _Token("end", "", place)
        elif name := _LONG_NAME.match(self._text, place):
            yield _Token("name", name[0], place)
        elif self._text[place] == "}":
            raise self._error(place, "unexpected character: '}'")
        else:
            raise self._error(place, f'unexpected "{self._text[place]}"')

    def _lex_braces(self, place: int) -> Generator[_Token, None, int]:
        """The tokens between braces, the closing one included; returns the place behind it."""
        while (place := self._after_space(place)) < len(self._text):
            token = self._token(place)
            yield token
            place += len(token.text)
            if token.kind == "}":
                return place
        raise self._error(place, "unexpected end of input inside braces")

    def _token(self, place: int) -> _Token:
        first = self._text[place]
        if name := _NAME.match(self._text, place):
            return _Token("name", name[0], place)
        if first in _STRINGS:
            if (string := _STRINGS[first].match(self._text, place)) is None:
                raise self._error(place, "unterminated quoted string")
            return _Token("string", string[0], place)
        for operator in _OPERATORS:
            if self._text.startswith(operator, place):
                return _Token(operator, operator, place)
        if first == "{":
            raise self._error(place, "unexpected left brace '{'")
        raise self._error(place, f"unexpected character inside braces: '{first}'")

    def _after_space(self, place: int) -> int:
        space = _SPACE.match(self._text, place)
        return space.end() if space else place

    def _unquoted(self, token: _Token) -> str:
        quote, inner = token.text[0], token.text[1:-1]
        if quote == "`" or "\\" not in inner:
            return inner
        # Octal and hexadecimal escapes are bytes, the others are characters.
        pieces: list[bytes] = []
        place = 0
        for escape in _ESCAPE.finditer(inner):
            pieces.append(inner[place : escape.start()].encode())
            pieces.append(self._unescaped(escape[1], quote, token.at))
            place = escape.end()
        pieces.append(inner[place:].encode())
        return b"".join(pieces).decode("utf-8", "replace")

    def _unescaped(self, escape: str, quote: str, at: int) -> bytes:
        kind, digits = escape[0], escape[1:]
        if kind in _SIMPLE_ESCAPES:
            return _SIMPLE_ESCAPES[kind].encode()
        if kind == quote:
            return quote.encode()
        if kind in _OCTAL_DIGITS:
            code = self._number(escape, 3, 8, _OCTAL_DIGITS, at)
            if code > 0xFF:
                raise self._error(at, "escape sequence is an invalid Unicode code point")
            return bytes([code])
        if kind == "x":
            return bytes([self._number(digits, 2, 16, _HEX_DIGITS, at)])
        if kind in "uU":
            code = self._number(digits, 4 if kind == "u" else 8, 16, _HEX_DIGITS, at)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise self._error(at, "escape sequence is an invalid Unicode code point")
            return chr(code).encode()
        raise self._error(at, f"unknown escape sequence U+{ord(kind):04X} '{kind}'")

    def _number(self, digits: str, count: int, base: int, allowed: frozenset[str], at: int) -> int:
        wrong = next((digit for digit in digits if digit not in allowed), None)
        if wrong is None and len(digits) < count:
            wrong = '"'  # the string ended
        if wrong is not None:
            raise self._error(at, f"illegal character U+{ord(wrong):04X} '{wrong}' in escape sequence")
        return int(digits, base)

    def _unexpected(self, token: _Token, expected: str) -> PushSyntaxError:
        return self._error(token.at, f"unexpected {token} in label set, expected {expected}")

    def _error(self, place: int, what: str) -> PushSyntaxError:
        """Positions are line and column, in bytes from 1."""
        before = self._text[:place]
        line = before.count("\n") + 1
        column = len(before[before.rfind("\n") + 1 :].encode()) + 1
        return PushSyntaxError(f"{line}:{column}: parse error: {what}")
