"""The reference pages say what the program does: they are made from it, and compared with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reference.pages import PAGES

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_program_declares(name: str, pytestconfig: pytest.Config) -> None:
    page = FOLDER / name
    expected = PAGES[name]()
    if pytestconfig.getoption("--update-golden"):
        page.write_text(expected)
    assert expected == page.read_text(), f"{page} is not up to date: run `make golden` and review the difference"


def test_every_page_of_the_reference_is_checked() -> None:
    assert {path.name for path in FOLDER.glob("*.md")} == set(PAGES)
