"""The page's files: what is there is served, nothing else is, and pages carry the policy."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sillok.http.credentials import hash_token
from sillok.http.settings import Credential, Role, ServerSettings
from sillok.server.page import Page
from tests.server.fakes import app, client

pytestmark = pytest.mark.anyio

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPT = "console.log('실록');" * 200


@pytest.fixture
def page(tmp_path: Path) -> Page:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>Sillok</title>")
    (folder / "assets" / "main-abc123.js").write_text(SCRIPT)
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return Page(folder)


async def test_the_page_carries_the_policy_and_is_asked_for_anew(page: Page) -> None:
    async with client(app(page=page)) as http:
        answer = await http.get("/", headers=BROWSER)
        again = await http.get("/", headers={**BROWSER, "If-None-Match": answer.headers["etag"]})

    assert "Sillok" in answer.text
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; script-src 'self'; style-src 'self';"
    )
    assert (answer.headers["cache-control"], again.status_code) == ("no-cache", 304)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_an_address_of_the_page_gives_the_page_but_an_api_stays_an_api(page: Page) -> None:
    async with client(app(page=page)) as http:
        explore = await http.get("/explore?q=x", headers=BROWSER)
        api = await http.get("/loki/api/v1/nope", headers=BROWSER)
        program = await http.get("/explore")

    assert (explore.status_code, "Sillok" in explore.text) == (200, True)
    assert (api.status_code, program.status_code) == (404, 404)


async def test_a_file_with_a_hash_in_its_name_is_kept_for_ever_and_sent_zipped(page: Page) -> None:
    async with client(app(page=page)) as http:
        zipped = await http.get("/assets/main-abc123.js", headers={"Accept-Encoding": "gzip"})
        plain = await http.get("/assets/main-abc123.js", headers={"Accept-Encoding": "identity"})
        again = await http.get("/assets/main-abc123.js", headers={"If-None-Match": plain.headers["etag"]})
        icon = await http.get("/favicon.svg")

    assert zipped.headers["content-encoding"] == "gzip"
    assert int(zipped.headers["content-length"]) == len(gzip.compress(SCRIPT.encode(), mtime=0))
    assert zipped.text == plain.text == SCRIPT
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"].startswith(("text/javascript", "application/javascript"))
    assert (again.status_code, again.content) == (304, b"")
    assert (icon.headers["cache-control"], icon.headers["content-type"]) == ("no-cache", "image/svg+xml; charset=utf-8")


@pytest.mark.parametrize("path", ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "//etc/passwd"])
async def test_no_path_leads_out_of_the_folder(page: Page, path: str) -> None:
    async with client(app(page=page)) as http:
        answer = await http.get(path)

    assert "secret" not in answer.text
    assert answer.status_code == 404


async def test_without_a_built_page_there_is_one_that_says_so(tmp_path: Path) -> None:
    async with client(app(page=Page(tmp_path / "nothing"))) as http:
        answer = await http.get("/", headers=BROWSER)

    assert answer.status_code == 200
    assert "Sillok is running" in answer.text


async def test_with_credentials_a_browser_is_asked_for_them(page: Page) -> None:
    reader = Credential("reader", frozenset({Role.READ}), token_hash=hash_token("t"))
    async with client(app(page=page, settings=ServerSettings(credentials=(reader,)))) as http:
        asked = await http.get("/explore", headers=BROWSER)
        script = await http.get("/assets/main-abc123.js")
        shown = await http.get("/explore", headers=BROWSER, auth=("reader", "t"))

    assert (asked.status_code, script.status_code, shown.status_code) == (401, 401, 200)
    assert asked.headers["www-authenticate"].startswith("Basic")
