"""Names that rotation gives: `x.log.1`, `x.log-20261121`, `x.log.2.gz`, `x.1.log`, `x-2026-11-21.log`."""

from __future__ import annotations

import re

_SUFFIX = re.compile(r"[.\-_](?:\d[\d.\-_T:]*|old|bak|prev)(?:\.gz)?\Z|\.gz\Z")


def is_rotation(name: str, of: str) -> bool:
    """Whether `name` is what rotating the file `of` in the same folder may leave behind."""
    if name == of:
        return False
    if name.startswith(of):
        return _SUFFIX.match(name, len(of)) is not None
    stem, dot, ending = of.rpartition(".")
    if not dot or not stem or not name.startswith(stem):
        return False
    bare = name.removesuffix(".gz")
    if not bare.endswith(f".{ending}"):
        return False
    middle = bare[len(stem) : -len(ending) - 1]
    return bool(middle) and _SUFFIX.fullmatch(middle) is not None


def is_compressed(name: str) -> bool:
    return name.endswith(".gz")
