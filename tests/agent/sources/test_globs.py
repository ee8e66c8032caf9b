from __future__ import annotations

from pathlib import Path

import pytest

from sillok.agent.sources.globs import Glob
from sillok.agent.sources.rotation import is_rotation


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.log", {"a.log", "link.log"}),
        ("**/*.log", {"a.log", "link.log", "d/b.log", "d/e/c.log"}),
        ("d/**", {"d/b.log", "d/t.txt", "d/e/c.log"}),
        ("**/e/*", {"d/e/c.log"}),
        ("{a,d/b}.log", {"a.log", "d/b.log"}),
        ("d/*.{log,txt}", {"d/b.log", "d/t.txt"}),
        ("d/[ab].log", {"d/b.log"}),
        ("?.log", {"a.log"}),
        ("a.log", {"a.log"}),
        (".hidden/*", {".hidden/h.log"}),
        ("missing/**/*.log", set()),
    ],
)
def test_a_pattern_finds_its_files_and_matches_them(tmp_path: Path, pattern: str, expected: set[str]) -> None:
    for name in ("a.log", "d/b.log", "d/t.txt", "d/e/c.log", ".hidden/h.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.log").symlink_to(tmp_path / "d" / "t.txt")
    (tmp_path / "d" / "e" / "circle").symlink_to(tmp_path)
    glob = Glob(f"{tmp_path}/{pattern}")
    found = {str(Path(path).relative_to(tmp_path)) for path in glob.files(lambda folder, error: None)}
    assert found == expected
    assert all(glob.matches(str(tmp_path / name)) for name in expected)
    assert not glob.matches(str(tmp_path / "other" / "x.md"))


@pytest.mark.parametrize(
    "name",
    ["x.log.1", "x.log.10.gz", "x.log-20261121", "x.log-20261121.gz", "x.log.2026-11-21", "x.log.gz", "x.log.old",
     "x.1.log", "x-2026-11-21.log", "x-2026-11-21.log.gz"],
)  # fmt: skip
def test_names_that_rotation_gives(name: str) -> None:
    assert is_rotation(name, "x.log")


@pytest.mark.parametrize("name", ["x.log", "y.log.1", "x.logger", "xx.log", "x-api.log", "x.log.tmp", "x.txt.1"])
def test_other_names(name: str) -> None:
    assert not is_rotation(name, "x.log")
