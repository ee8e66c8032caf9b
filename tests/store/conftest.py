"""Both engines: the embedded one, and ClickHouse's over HTTP against the double."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sillok.store.engine import Engine
from sillok.store.engines.clickhouse import open_clickhouse
from sillok.store.settings import StoreSettings
from sillok.store.tables import Tables

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a ClickHouse double in a process of its own."""
    folder = tmp_path_factory.mktemp("clickhouse")
    command = [sys.executable, "-m", "tests.doubles.clickhouse_http", str(folder / "data")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


@pytest.fixture(scope="session")
def clickhouse(clickhouse_url: str) -> Iterator[Engine]:
    opened = open_clickhouse(clickhouse_url)
    Tables(opened, StoreSettings(min_free_bytes=0)).migrate()
    yield opened
    opened.close()


@pytest.fixture(params=["chdb", "clickhouse"])
def each_engine(request: pytest.FixtureRequest) -> Engine:
    """One engine, then the other."""
    name = {"chdb": "engine", "clickhouse": "clickhouse"}[request.param]
    engine: Engine = request.getfixturevalue(name)
    return engine
