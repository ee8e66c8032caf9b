"""Both distributions, built and installed as a user installs them: into a clean environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.api import Api
from tests.e2e.system import STOP_S, Server
from tests.peers import ROOT
from tests.processes import Process

HEAVY = {"chdb", "chdb-core", "pyarrow", "pandas", "numpy"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels: the one that `SILLOK_DIST` names, or a new one."""
    if "SILLOK_DIST" in os.environ:
        return ROOT / os.environ["SILLOK_DIST"]
    folder = tmp_path_factory.mktemp("dist")
    for source in (ROOT, ROOT / "packaging" / "agent"):
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, source]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def installed(wheels: Path, distribution: str, environment: Path) -> Path:
    """The programs of a new environment that holds `distribution` and what it depends on."""
    found = sorted(wheels.glob(f"{distribution}-*.whl"), key=lambda path: path.stat().st_mtime)
    assert found, f"no wheel of {distribution} in {wheels}"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, found[-1]], check=True, timeout=480)
    return environment / "bin"


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(command, text=True, capture_output=True, timeout=60, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def test_the_wheel_serves_takes_and_finds_lines(wheels: Path, tmp_path: Path) -> None:
    programs = installed(wheels, "sillok", tmp_path / "environment")
    lines = [f"line {number}" for number in range(10)]

    with Server(tmp_path / "data", command=[programs / "sillok"]) as server:
        address = {"env": {"SILLOK_URL": server.url, "PATH": os.environ["PATH"]}, "cwd": tmp_path}
        run(programs / "sillok", "push", "--label", "service=vllm", input="\n".join(lines) + "\n", **address)
        found = run(programs / "sillok", "query", '{service="vllm"}', "--output", "raw", "--since", "1h", **address)
        page = server.api.http.get("/", headers={"Accept": "text/html"})
        server.stop(timeout_s=STOP_S)

    assert lines == sorted(found.splitlines())
    assert page.status_code == 200
    assert "<!doctype html" in page.text[:200].lower()
    assert "script" in page.text


def test_the_collectors_wheel_is_light_and_collects(wheels: Path, sillok_url: str, job: str, tmp_path: Path) -> None:
    programs = installed(wheels, "sillok_agent", tmp_path / "environment")
    listed = json.loads(run(programs / "python", "-m", "pip", "list", "--format=json"))
    log = tmp_path / "logs" / job / "app.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {number}\n" for number in range(10)))
    command = [programs / "sillok-agent", "--data", tmp_path / "agent"]
    command += ["--set", f"agent.files={tmp_path}/logs/*/*.log", "--set", "agent.docker.enabled=false"]

    with Process(command, log=tmp_path / "agent.log", env={"LOKI_URL": sillok_url}, cwd=tmp_path) as agent:
        api = Api(sillok_url)
        agent.wait_for(
            lambda: len(api.lines(f'{{service="{job}"}}')) >= 10, timeout_s=30, what="the lines of the collector"
        )
        agent.stop(timeout_s=STOP_S)

    assert not HEAVY & {one["name"].lower() for one in listed}
