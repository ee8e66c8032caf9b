"""Fixtures for everybody: one embedded engine per test process (chDB opens one folder per process)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sillok.store.engines.chdb import ChdbEngine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files and reference pages")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbEngine]:
    """chDB in a folder of its own, tables made. Shared by all tests of a process: isolate by tenant."""
    from sillok.store.engines.chdb import open_chdb
    from sillok.store.settings import StoreSettings
    from sillok.store.tables import Tables

    opened = open_chdb(tmp_path_factory.mktemp("store"), max_memory_bytes=2 * 1024**3)
    Tables(opened, StoreSettings(min_free_bytes=0)).migrate()
    yield opened
    opened.close()
