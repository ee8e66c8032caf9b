"""A browser, a server, and pages whose console has to stay silent."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, sync_playwright

from tests.e2e.system import real_sillok
from tests.ui.lines import Sender

OpenPage = Callable[..., Page]

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb"]
DESKTOP = {"width": 1440, "height": 900}
PREFERENCES = "sillok.preferences"


def find_chromium() -> str | None:
    named = os.environ.get("SILLOK_CHROMIUM")
    return named or next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def sillok_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Ours: one that is started now, or the one at `SILLOK_E2E_URL`."""
    if "SILLOK_E2E_URL" in os.environ:
        yield os.environ["SILLOK_E2E_URL"]
        return
    with real_sillok(tmp_path_factory.mktemp("ui")) as url:
        yield url


# For a module, not for the session: while Playwright is there its event loop runs, and no other test could run one.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium: `apt-get install chromium`, or name one in SILLOK_CHROMIUM")
    browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
    yield browser
    browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What browsers wrote into their consoles: errors, warnings, violations of the content security policy.

    A test that provokes some takes them out; what is left at the end fails it.
    """
    return []


@pytest.fixture
def open_page(browser: Browser, sillok_url: str, complaints: list[str]) -> Iterator[OpenPage]:
    """Opens an address of the server in a fresh browser profile."""
    contexts = []

    def open_it(
        path: str = "/",
        *,
        theme: str = "dark",
        language: str = "en",
        size: dict[str, int] = DESKTOP,
        prepare: Callable[[Page], object] | None = None,
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            viewport=size,
            color_scheme=theme,
            locale={"en": "en-GB", "ko": "ko-KR"}[language],
            timezone_id="Asia/Seoul",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
        page.on("console", lambda message: _note(message, complaints))
        if prepare is not None:
            prepare(page)
        page.goto(path if path.startswith("http") else sillok_url + path)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def _note(message: ConsoleMessage, complaints: list[str]) -> None:
    if message.type in ("error", "warning"):
        complaints.append(f"{message.type}: {message.text}")


@pytest.fixture
def sender(sillok_url: str) -> Iterator[Sender]:
    """Sends lines under a label value that no other test uses."""
    with Sender(sillok_url, job=f"ui-{uuid.uuid4().hex[:10]}") as sender:
        yield sender


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]
