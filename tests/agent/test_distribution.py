"""`sillok-agent`: built from this tree, it collects without the store and what the store needs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from tests.agent.process import ROOT
from tests.agent.store import Store
from tests.peers import is_ready
from tests.processes import Process, free_port

FORBIDDEN = ("chdb", "pyarrow", "pandas", "numpy", "clickhouse_connect", "re2", "argon2")
BLOCKER = f"""
    import sys
    class Blocked:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {FORBIDDEN!r}:
                raise ModuleNotFoundError(f"{{name}} is not part of sillok-agent", name=name)
    sys.meta_path.insert(0, Blocked())
    from sillok_agent import main
    import sillok
    assert sillok.__file__.startswith(sys.path[1]) or sillok.__file__.startswith(sys.path[0]), sillok.__file__
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT / "packaging/agent"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("sillok_agent-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def command(arguments: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(BLOCKER) + f"raise SystemExit(main({arguments}))"]


def test_it_carries_only_the_rooms_that_the_collector_needs(unpacked: Path) -> None:
    rooms = {path.name for path in (unpacked / "sillok").iterdir() if path.is_dir()}
    assert rooms == {"agent", "cli", "config", "http", "model", "text", "wire"}
    metadata = next(unpacked.glob("*.dist-info/METADATA")).read_text().lower()
    assert not any(f"requires-dist: {name}" in metadata for name in FORBIDDEN)


def test_it_collects_and_answers_on_its_own_port(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "logs" / "vllm").mkdir(parents=True)
    (tmp_path / "logs" / "vllm" / "x.log").write_text("INFO hello\n")
    port = free_port()
    with Store() as store:
        arguments = ["--data", str(tmp_path / "data"), "--set", f"agent.listen=127.0.0.1:{port}"]
        arguments += ["--set", "agent.docker.enabled=false", "--set", f"agent.files={tmp_path}/logs/*/*.log"]
        env = {"LOKI_URL": store.url, "PYTHONPATH": str(unpacked)}
        with Process(command(repr(arguments)), log=tmp_path / "log", env=env, cwd=tmp_path) as agent:
            agent.wait_for(lambda: store.lines, timeout_s=15, what="the line")
            agent.wait_for(lambda: is_ready(f"http://127.0.0.1:{port}/ready"), timeout_s=5, what="its port")
            agent.stop(timeout_s=2)
            assert "Traceback" not in agent.output()
    assert store.texts() == [b"INFO hello"]
    assert 'service="vllm"' in store.lines[0].labels


def test_without_a_target_it_says_which_variable_to_set(unpacked: Path, tmp_path: Path) -> None:
    """T-08."""
    env = {**os.environ, "LOKI_URL": "", "PYTHONPATH": str(unpacked)}
    done = subprocess.run(command("[]"), capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 2
    assert "LOKI_URL is not set" in done.stderr
    assert "Traceback" not in done.stderr
