"""A user's regular expression: RE2 with the semantics and the words of Go."""

from __future__ import annotations

import time

import pytest

from sillok.errors import BadRequest
from sillok.text.regex import compile_regex

# What the real Loki answered to `{a="b"} |~ "…"`.
GO_ERRORS = {
    "(": "missing closing ): `(`",
    "[a": "missing closing ]: `[a`",
    "a\\": "trailing backslash at end of expression: ``",
    "*": "missing argument to repetition operator: `*`",
    "a{2,1}": "invalid repeat count: `{2,1}`",
    "x{1001}": "invalid repeat count: `{1001}`",
    "a**": "invalid nested repetition operator: `**`",
    "(?=a)": "invalid or unsupported Perl syntax: `(?=`",
    "[z-a]": "invalid character class range: `z-a`",
    "[[:foo:]]": "invalid character class range: `[:foo:]`",
    ")": "unexpected ): `)`",
    "(?P<n-x>a)": "invalid named capture: `(?P<n-x>`",
    r"\8": r"invalid escape sequence: `\8`",
    r"\C": r"invalid escape sequence: `\C`",
    r"\Z": r"invalid escape sequence: `\Z`",
}


@pytest.mark.parametrize("pattern", GO_ERRORS)
def test_a_wrong_pattern_is_refused_in_the_words_of_go(pattern: str) -> None:
    with pytest.raises(BadRequest) as refused:
        compile_regex(pattern)
    assert str(refused.value) == f"error parsing regexp: {GO_ERRORS[pattern]}"


def test_a_backslash_before_a_capital_c_is_no_byte_escape() -> None:
    assert compile_regex(r"\\C").matches(r"a\C")


def test_a_line_filter_finds_a_part_and_a_matcher_needs_the_whole() -> None:
    assert compile_regex("b").matches("abc")
    assert not compile_regex("b", is_anchored=True).matches("abc")
    assert compile_regex("a|b", is_anchored=True).matches("b")
    assert not compile_regex("a|b", is_anchored=True).matches("bc")


def test_the_dot_matches_a_newline_in_matchers_only() -> None:
    assert not compile_regex("a.b").matches("a\nb")
    assert compile_regex("(?s)a.b").matches("a\nb")
    assert compile_regex("a.b", is_anchored=True).matches("a\nb")


def test_a_pattern_that_explodes_elsewhere_takes_linear_time() -> None:
    began = time.monotonic()
    assert not compile_regex("(a+)+$").matches("a" * 50_000 + "b")
    assert time.monotonic() - began < 2
