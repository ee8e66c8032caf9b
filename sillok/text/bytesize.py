"""Sizes in bytes: `10KB`, `1.5 MiB`, `42`.

Source: github.com/dustin/go-humanize bytes.go `ParseBytes`, `Bytes`: `kB` is 1000, `KiB` is 1024, case does not count.
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_BYTES = 2**64 - 1

_PREFIXES = "kmgtpe"
_UNITS = {
    "": 1,
    "b": 1,
    **{prefix: 1000**power for power, prefix in enumerate(_PREFIXES, 1)},
    **{f"{prefix}b": 1000**power for power, prefix in enumerate(_PREFIXES, 1)},
    **{f"{prefix}i": 1024**power for power, prefix in enumerate(_PREFIXES, 1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate(_PREFIXES, 1)},
}
_SIZE = re.compile(r"([0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)(.*)", re.DOTALL)


class ByteSizeError(ValueError):
    """The text is no size."""


def parse(text: str) -> int:
    """The number of bytes that `text` names."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ByteSizeError(f'"{text}" is not a size in bytes, such as 512KB or 4MiB')
    unit = found[2].strip().lower()
    if unit not in _UNITS:
        raise ByteSizeError(f"unhandled size name: {unit}")
    size = int(Fraction(found[1].replace(",", "")) * _UNITS[unit])
    if size > MAX_BYTES:
        raise ByteSizeError(f"too large: {text}")
    return size


def format_bytes(size: int) -> str:
    """`82kB`: thousands, one decimal below ten, as Loki's messages write sizes."""
    if size < 10:
        return f"{size}B"
    power, value = 0, float(size)
    while value >= 1000 and power < len(_PREFIXES):
        value /= 1000
        power += 1
    rounded = int(value * 10 + 0.5) / 10
    unit = ("B", "kB", "MB", "GB", "TB", "PB", "EB")[power]
    return f"{rounded:.1f}{unit}" if rounded < 10 else f"{rounded:.0f}{unit}"
