"""Sillok as its user starts it: the installed command, a data folder, a port."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.api import Api
from tests.peers import is_ready
from tests.processes import Process, free_port

SILLOK = Path(sys.executable).parent / "sillok"
READY_S = 20  # the bar is 3 s on an idle machine (bench/start.py); tests run beside other tests
STOP_S = 5.0  # promised


class Server(Process):
    """A running `sillok serve`."""

    def __init__(
        self,
        data: Path,
        *options: str,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        command: Sequence[str | Path] = (SILLOK,),
        scheme: str = "http",
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        super().__init__(
            [*command, "serve", "--data", data, "--listen", f"127.0.0.1:{self.port}", *options],
            log=data.with_name(f"{data.name}.log"),
            env=env,
            cwd=data.parent,
        )

    def __enter__(self) -> Server:
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def wait_ready(self) -> None:
        self.wait_for(lambda: is_ready(f"{self.url}/ready"), timeout_s=READY_S, what=f"{self.url}/ready")

    @property
    def api(self) -> Api:
        return Api(self.url)


class Agent(Process):
    """A running `sillok agent` that follows `logs/*/*.log` below `folder`."""

    def __init__(self, folder: Path, url: str, *options: str, env: Mapping[str, str] | None = None) -> None:
        super().__init__(
            [
                *(SILLOK, "agent", "--data", folder / "agent"),
                *("--set", f"agent.files={folder}/logs/*/*.log", "--set", "agent.docker.enabled=false"),
                *options,
            ],
            log=folder / "agent.log",
            env={"LOKI_URL": f"{url}/loki/api/v1/push", **(env or {})},
            cwd=folder,
        )


@contextmanager
def real_sillok(folder: Path, *options: str) -> Iterator[str]:
    """A Sillok with its data in `folder`; yields its address once it answers."""
    with Server(folder / "data", *options) as server:
        yield server.url
        server.stop(timeout_s=STOP_S)


def sillok(*arguments: str | Path, timeout_s: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; its exit code, standard output and standard error."""
    return subprocess.run(
        [str(SILLOK), *map(str, arguments)],
        text=True,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        **options,  # type: ignore[call-overload]
    )
