"""A store in memory for tests of ingest, and the real Loki with limits per tenant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ingest.loki import limited_loki


@pytest.fixture(scope="session")
def loki_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Loki that knows the tenants of `tests.ingest.loki.TENANTS`."""
    with limited_loki(tmp_path_factory.mktemp("loki")) as url:
        yield url
