"""One server for all tests of the commands that ask one; isolate by labels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.system import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("cli") / "data") as running:
        yield running
        running.stop()
