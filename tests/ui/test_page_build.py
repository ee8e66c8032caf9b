"""The build hook: when it builds, what it says when it cannot, and what it leaves behind."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import hatch_build


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Path:
    """The sources of the page, without what is installed and built."""
    shutil.copytree(root / "ui", tmp_path / "ui", ignore=shutil.ignore_patterns("node_modules"))
    return tmp_path


def hook(checkout: Path) -> hatch_build.WebBuildHook:
    return hatch_build.WebBuildHook(str(checkout), {}, None, None, str(checkout), "wheel")  # type: ignore[arg-type]


def mark_fresh(checkout: Path) -> None:
    static = checkout / hatch_build.STATIC
    static.mkdir(parents=True, exist_ok=True)
    (static / hatch_build.STAMP).write_text(hatch_build._digest(checkout))


def test_node_is_asked_for_only_when_something_has_to_be_built(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SILLOK_SYSTEM_NODE", raising=False)
    assert hook(checkout).dependencies() == [hatch_build.NODE]
    mark_fresh(checkout)
    assert hook(checkout).dependencies() == []
    with (checkout / "ui/src/main.ts").open("a") as source:
        source.write("// changed\n")
    assert hook(checkout).dependencies() == [hatch_build.NODE]


@pytest.mark.parametrize("variable", ["SILLOK_SKIP_WEB", "SILLOK_SYSTEM_NODE"])
def test_node_is_not_asked_for_when_it_is_not_wanted(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert hook(checkout).dependencies() == []


def test_a_skipped_page_is_not_built(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILLOK_SKIP_WEB", "1")
    hook(checkout).initialize("standard", {})
    assert not (checkout / hatch_build.STATIC).exists()


def test_a_file_that_moves_or_is_renamed_makes_the_page_stale(checkout: Path) -> None:
    before = hatch_build._digest(checkout)
    (checkout / "ui/src/main.ts").rename(checkout / "ui/src/start.ts")
    assert hatch_build._digest(checkout) != before


def test_a_failed_build_says_what_why_and_the_ways_out(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[object], **_: object) -> None:
        raise subprocess.CalledProcessError(7, command)

    monkeypatch.setenv("SILLOK_SYSTEM_NODE", "1")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(SystemExit) as stopped:
        hook(checkout).initialize("standard", {})
    what, why, ways_out = str(stopped.value).splitlines()
    assert "could not be built" in what
    assert "exit code 7" in why
    assert "SILLOK_SKIP_WEB=1" in ways_out
    assert not (checkout / hatch_build.STATIC / hatch_build.STAMP).exists()


def test_installed_packages_are_kept_while_they_are_what_the_lock_file_wants(checkout: Path) -> None:
    ui = checkout / "ui"
    assert not hatch_build._is_installed(ui)
    lock = json.loads((ui / "package-lock.json").read_text(encoding="utf-8"))
    (ui / "node_modules").mkdir()
    (ui / "node_modules/.package-lock.json").write_text(json.dumps(lock))
    assert hatch_build._is_installed(ui)
    lock["packages"]["node_modules/svelte"]["integrity"] = "sha512-of-another-version"
    (ui / "node_modules/.package-lock.json").write_text(json.dumps(lock))
    assert not hatch_build._is_installed(ui)


def test_a_missing_system_node_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILLOK_SYSTEM_NODE", "1")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="node and npm are not on PATH"):
        hook(checkout).initialize("standard", {})


def test_git_knows_every_source_of_the_page(root: Path) -> None:
    """An ignored folder is missing in every clone and in every wheel, and nobody sees it where it was written."""
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    sources = [str(path.relative_to(root)) for path in hatch_build._files(root)]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=root,
        input="\n".join(sources),
        text=True,
        capture_output=True,
        check=False,
    )
    assert ignored.stdout.splitlines() == []


def test_the_lock_file_names_no_registry(root: Path) -> None:
    lock = (root / "ui/package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    packages = json.loads(lock)["packages"]
    assert all("integrity" in package for path, package in packages.items() if path)


def test_what_the_build_needs_is_no_development_dependency(root: Path) -> None:
    """`npm ci --omit=dev` is what an installer runs."""
    package = json.loads((root / "ui/package.json").read_text(encoding="utf-8"))
    imported = {
        re.match(r"(@[^/]+/[^/]+|[^/]+)", name)[1]  # type: ignore[index]
        for path in [*(root / "ui/src").rglob("*.ts"), *(root / "ui/src").rglob("*.svelte"), root / "ui/vite.config.ts"]
        for name in re.findall(r"from '(?!node:)([^.'][^']*)'", path.read_text(encoding="utf-8"))
    }
    assert imported <= set(package["dependencies"])
