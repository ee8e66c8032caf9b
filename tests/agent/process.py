"""The collector as a process, started with plain settings."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.processes import Process, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent


def start(folder: Path, url: str, *globs: str, log: Path | None = None, **changed: Any) -> Process:
    """A collector with its data in `folder/agent`. `changed` are fields of AgentSettings or Target, as source text."""
    target = {name: changed.pop(name) for name in ("min_backoff_s", "max_backoff_s") if name in changed}
    target_text = "".join(f", {name}={value!r}" for name, value in target.items())
    rest = "".join(f", {name}={value}" for name, value in changed.items())
    code = textwrap.dedent(
        f"""
        import logging
        from pathlib import Path
        from sillok.agent.run import run
        from sillok.agent.settings import AgentSettings, DockerSource, FileSource, Target
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        raise SystemExit(run(AgentSettings(
            Path({str(folder / "agent")!r}), Target({url!r}{target_text}),
            files=(FileSource({globs!r}),), host="host-a"{rest},
        )))
        """
    )
    return Process([sys.executable, "-c", code], log=log or folder / "agent.log", cwd=ROOT)


def status(folder: Path) -> dict[str, Any]:
    """The status file; empty before it is there."""
    try:
        read: dict[str, Any] = json.loads((folder / "agent" / "status.json").read_bytes())
    except FileNotFoundError:
        return {}
    return read


def positions(folder: Path) -> str:
    """The positions file as it stands."""
    path = folder / "agent" / "positions.json"
    return path.read_text() if path.exists() else ""


def wait_for_status(folder: Path, **lines: int) -> dict[str, Any]:
    """Wait until the sums of the ledger are `lines`."""

    def reached() -> dict[str, Any] | None:
        found = status(folder)
        sums = found.get("lines", {})
        return found if all(sums.get(name) == count for name, count in lines.items()) else None

    try:
        found = wait_until(reached, timeout_s=20, what=f"{lines} in {folder}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{status(folder)}") from None
    assert found is not None
    return found


def is_balanced(lines: dict[str, Any]) -> bool:
    settled = lines["stored"] + sum(lines["dropped"].values()) + sum(lines["refused"].values())
    return bool(lines["read"] == settled + lines["spooled"] + lines["in_flight"])


def resident_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmRSS"))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(subprocess.run(["getconf", "CLK_TCK"], capture_output=True, check=True, text=True).stdout)
    return (int(fields[11]) + int(fields[12])) / ticks
