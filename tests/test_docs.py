"""What documents name exists: paths in ARCHITECTURE.md, links everywhere, a Korean page for each guide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# A path in backticks: with a slash at its end or inside, or a file with an ending that we use.
_PATH = re.compile(r"`([\w.\-/]+/|[\w.\-/]+\.(?:py|toml|ts|svelte|md|yml))`")
_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
_MADE_WHEN_NEEDED = {"build/", "bench/out/", "sillok-data/", "sillok/server/static/"}


def test_every_path_in_the_architecture_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = {path for path in _PATH.findall(text) if path not in _MADE_WHEN_NEEDED and path != "sillok.yaml"}

    missing = sorted(path for path in named if not _exists(path))

    assert len(named) > 40
    assert missing == []


def _exists(path: str) -> bool:
    """Paths are written from the root of the repository or, for rooms, from `sillok/`."""
    return (ROOT / path).exists() or (ROOT / "sillok" / path).exists()


def test_every_room_is_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = {path.parent.name for path in (ROOT / "sillok").glob("*/__init__.py")}

    assert sorted(room for room in rooms if f"`{room}/`" not in text) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    links = _LINK.findall(document.read_text())

    assert [link for link, _ in links if not (document.parent / link).exists()] == []


def test_every_guide_is_there_in_korean_too() -> None:
    guides = {path.stem for path in (ROOT / "docs" / "guides").glob("*.md")}

    assert guides
    assert {f"{name}.ko" for name in guides if not name.endswith(".ko")} <= guides
    assert (ROOT / "README.ko.md").exists()
