"""Sizes in bytes, as go-humanize reads them."""

from __future__ import annotations

import pytest

from sillok.text import bytesize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", 42),
        ("10KB", 10_000),
        ("10kb", 10_000),
        ("1KiB", 1024),
        ("1.5 MiB", 1_572_864),
        ("4m", 4_000_000),
        ("1,000B", 1000),
        ("256Ki", 262_144),
    ],
)
def test_sizes_are_read(text: str, expected: int) -> None:
    assert bytesize.parse(text) == expected


@pytest.mark.parametrize("text", ["", "B", "1XB", "-1B", "99999999999EB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(bytesize.ByteSizeError):
        bytesize.parse(text)


@pytest.mark.parametrize(("size", "expected"), [(0, "0B"), (999, "999B"), (82_854_982, "83MB"), (1500, "1.5kB")])
def test_sizes_are_written_short(size: int, expected: str) -> None:
    assert bytesize.format_bytes(size) == expected
