"""What end-to-end tests share: one running server a session, and a label of their own for every test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.api import Api
from tests.e2e.system import real_sillok
from tests.peers import real_loki


@pytest.fixture(scope="session")
def sillok_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Ours: one that is started now, or the one at `SILLOK_E2E_URL`."""
    if "SILLOK_E2E_URL" in os.environ:
        yield os.environ["SILLOK_E2E_URL"]
        return
    with real_sillok(tmp_path_factory.mktemp("sillok")) as url:
        yield url


@pytest.fixture(scope="session")
def loki_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with real_loki(tmp_path_factory.mktemp("loki")) as url:
        yield url


@pytest.fixture(params=["sillok", "loki"])
def server(request: pytest.FixtureRequest) -> str:
    """The address of a running server: ours, then the real Loki, so that no test asks for what Loki does not do."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Which server this is: "sillok" or "loki", for the few answers where the two differ on purpose."""
    return str(request.node.callspec.params["server"])


@pytest.fixture
def api(server: str) -> Iterator[Api]:
    api = Api(server)
    with api.http:
        yield api


@pytest.fixture
def job() -> str:
    """A value of the label `job` that no other test uses."""
    return f"job-{uuid.uuid4().hex[:12]}"
