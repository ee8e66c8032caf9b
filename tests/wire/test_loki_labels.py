"""The text of a label set. That texts and errors are Loki's is compared in tests/ingest/test_same_as_loki.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.errors import PushSyntaxError
from sillok.model.labels import format_labels, label_set
from sillok.wire.loki_labels import parse_labels

names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True)
values = st.text(max_size=8).filter(lambda text: "\x00" not in text)


@given(st.dictionaries(names, values, max_size=4))
def test_what_is_formatted_is_parsed(pairs: dict[str, str]) -> None:
    labels = label_set(pairs)
    assert label_set(parse_labels(format_labels(labels))) == labels


@given(st.text(alphabet=st.sampled_from("{}=\",\\ab`'~!# \n:1xu0é"), max_size=16))
def test_any_text_is_parsed_or_refused_with_a_place(text: str) -> None:
    assert isinstance(parsed_or_refused(text), list) or ": parse error: " in parsed_or_refused(text)


def parsed_or_refused(text: str) -> list[tuple[str, str]] | str:
    try:
        return parse_labels(text)
    except PushSyntaxError as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("{}", []),
        ('{a="b",c="d"}', [("a", "b"), ("c", "d")]),
        ('{c="d", a=""}', [("c", "d"), ("a", "")]),
        (' { a = "b" , } # end', [("a", "b")]),
        ("{a=`\\n`, b='\\''}", [("a", "\\n"), ("b", "'")]),
        (r'{a="\x41\101\u00e4\U0001F600\t\"\\"}', [("a", 'AAä😀\t"\\')]),
        (r'{a="\xc3\xa4"}', [("a", "ä")]),
        ('up{"a b"="c"}', [("__name__", "up"), ("a b", "c")]),
        ('{"up", a="b"}', [("__name__", "up"), ("a", "b")]),
    ],
)
def test_a_label_set_is_read_in_the_order_written(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_labels(text) == pairs
