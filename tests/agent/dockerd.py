"""A Docker engine of the tests' own: its own data folder and socket, no network, one image of busybox."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import Process, wait_until

IMAGE = "busybox:local"
HOW = "install it with: apt-get install docker.io busybox-static; and run the tests as root"


class Docker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"

    def __call__(self, *arguments: str) -> str:
        """The `docker` command; its output."""
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, env={**os.environ, "DOCKER_HOST": self.host}
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout.strip()

    def run(self, name: str, script: str, *options: str) -> str:
        """Start a container that runs `script` in a shell; its id."""
        return self("run", "-d", "--name", name, "--network", "none", *options, IMAGE, "sh", "-c", script)

    def wait(self, name: str) -> None:
        self("wait", name)

    def remove_all(self) -> None:
        names = self("ps", "-aq").split()
        if names:
            self("rm", "-f", *names)


@contextmanager
def engine() -> Iterator[Docker]:
    """Skips where there is no dockerd, or where it may not run."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", "docker", "busybox"))):
        pytest.skip(f"this needs dockerd, docker and busybox as root; {HOW}")
    folder = Path(tempfile.mkdtemp(prefix="sillok-docker-", dir="/tmp"))  # A socket's path must be short.
    docker = Docker(folder)
    command = ["dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec", "-H", docker.host,
               "--pidfile", folder / "pid", "--iptables=false", "--bridge=none"]  # fmt: skip
    with Process(command, log=folder / "dockerd.log") as process:
        try:
            wait_until(lambda: process.returncode is not None or _answers(docker), timeout_s=30, what="dockerd")
            if process.returncode is not None:
                pytest.skip(f"dockerd does not run here: {process.output()[-300:]}")
            _import_busybox(docker)
            yield docker
            docker.remove_all()
            process.stop(timeout_s=20)
        finally:
            process.kill()
    subprocess.run(["umount", "-R", *folder.glob("exec/netns/*")], capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def _answers(docker: Docker) -> bool:
    environment = {**os.environ, "DOCKER_HOST": docker.host}
    return subprocess.run(["docker", "version"], capture_output=True, env=environment).returncode == 0


def _import_busybox(docker: Docker) -> None:
    root = docker.folder / "image" / "bin"
    root.mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "busybox")
    archive = docker.folder / "image.tar"
    subprocess.run(["tar", "-C", root.parent, "-cf", archive, "."], check=True)
    docker("import", "-c", 'ENTRYPOINT ["/bin/busybox"]', str(archive), IMAGE)
