"""The only door for a user's regular expression: RE2, with the semantics and error texts of Go's `regexp`.

RE2 runs in time linear in its input, so a pattern can be slow but never explode. Go's package is RE2's
sibling; where the two differ, this module takes Go's side or refuses.

Source: https://pkg.go.dev/regexp/syntax, https://github.com/google/re2/wiki/Syntax
Differs: a byte that is not UTF-8 matches `.` in Go and does not in RE2.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

import re2

from sillok.errors import BadRequest

MAX_PATTERN_BYTES = 8 << 20  # RE2's own budget for a compiled pattern is as large.

# RE2's words → Go's, for what both refuse. The offending part follows in backquotes.
_GO_WORDS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "invalid escape sequence": "invalid escape sequence",
    "invalid character class range": "invalid character class range",
    "invalid character class": "invalid character class range",
    "unexpected )": "unexpected )",
}
# `\C` matches one byte in RE2 and does not exist in Go.
_ONE_BYTE = re.compile(r"(?:[^\\]|\\[^C])*?\\C", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled pattern. Equal when the text and the anchoring are."""

    text: str
    is_anchored: bool = False
    _compiled: re2._Regexp[bytes] = field(compare=False, repr=False, kw_only=True)

    def matches(self, text: str | bytes) -> bool:
        """Anchored: whether all of `text` matches. Else: whether some part of it does."""
        encoded = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if self.is_anchored:
            return self._compiled.fullmatch(encoded) is not None
        return self._compiled.search(encoded) is not None


def compile_regex(text: str, *, is_anchored: bool = False) -> Regex:
    """The pattern `text`.

    In an anchored one, a label matcher's, `.` matches a newline, as Prometheus has it; in others, a line
    filter's, it does not, as in Go.

    Raises:
        BadRequest: the pattern is none; the text is Go's.
    """
    return Regex(text, is_anchored, _compiled=_compiled(text, dot_matches_newline=is_anchored))


@functools.lru_cache(maxsize=512)
def _compiled(text: str, *, dot_matches_newline: bool) -> re2._Regexp[bytes]:
    encoded = text.encode("utf-8", "surrogateescape")
    if len(encoded) > MAX_PATTERN_BYTES:
        raise BadRequest("error parsing regexp: expression too large")
    if _ONE_BYTE.match(text):
        raise BadRequest(r"error parsing regexp: invalid escape sequence: `\C`")
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = dot_matches_newline
    try:
        return re2.compile(encoded, options)
    except re2.error as error:
        said = error.args[0] if error.args else b""
        raise BadRequest(f"error parsing regexp: {_in_go_words(_text(said))}") from None


def _in_go_words(message: str) -> str:
    if message.startswith("trailing \\"):
        return "trailing backslash at end of expression: ``"
    words, _, culprit = message.partition(": ")
    if words not in _GO_WORDS:
        return message
    return f"{_GO_WORDS[words]}: `{culprit}`"


def _text(said: object) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
