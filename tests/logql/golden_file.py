"""Golden files: cases as data, in one format, rewritten by `pytest --update-golden`.

    ## what the case says about the world
    -- query
    {app="api"} |= "x"
    -- sql
    …

The first part is given, the others are what the program makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Case:
    title: str
    query: str
    expected: Mapping[str, str]


def read(name: str) -> list[Case]:
    return list(_cases((FOLDER / f"{name}.txt").read_text()))


def check(name: str, make: Callable[[str], Mapping[str, str]], config: pytest.Config) -> None:
    """Compare what `make` answers with the file; rewrite the file when asked to."""
    cases = read(name)
    made = [Case(case.title, case.query, make(case.query)) for case in cases]
    if config.getoption("--update-golden"):
        (FOLDER / f"{name}.txt").write_text("\n".join(_written(case) for case in made))
    assert [_written(case) for case in cases] == [_written(case) for case in made]


def _cases(text: str) -> Iterator[Case]:
    for block in text.split("## ")[1:]:
        title, _, rest = block.partition("\n")
        parts = {}
        for part in rest.split("-- ")[1:]:
            key, _, value = part.partition("\n")
            parts[key] = value.rstrip("\n")
        query = parts.pop("query")
        yield Case(title, query, parts)


def _written(case: Case) -> str:
    parts = {"query": case.query, **case.expected}
    return f"## {case.title}\n" + "".join(f"-- {key}\n{value}\n" for key, value in parts.items())
