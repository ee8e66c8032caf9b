"""Languages, themes, access for everybody, the content security policy, path prefixes, sizes."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from sillok.server.page import FOLDER
from tests.ui.conftest import OpenPage
from tests.ui.lines import Sender, now_ns

FIRST_SCRIPT_BYTES = 70_000
ALL_SCRIPT_BYTES = 260_000

# Names that are the same in every language.
SAME_EVERYWHERE = re.compile(r"Sillok|LogQL|Esc|Space|English|[A-Z]{3}")


def open_with_lines(open_page: OpenPage, sender: Sender, **options: str) -> Page:
    levels = ("error", "warn", "info", "debug", "trace")
    sender.push([(now_ns(10 - i), f'level={level} msg="줄 {i}" user={i}') for i, level in enumerate(levels)])
    page = open_page(sender.path(), **options)
    expect(page.locator(".row")).to_have_count(len(levels))
    expect(page.locator(".u-over")).to_be_visible()
    page.locator(".cm-content").wait_for()
    return page


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_everybody_can_use_it(open_page: OpenPage, sender: Sender, root: Path, theme: str, language: str) -> None:
    axe = root / "ui/node_modules/axe-core/axe.min.js"
    if not axe.exists():
        pytest.skip("axe-core is not installed: `make ui-test` installs it")
    page = open_with_lines(open_page, sender, theme=theme, language=language)
    states = {
        "lines": lambda: None,
        "details": lambda: page.keyboard.press("j"),
        "keys": lambda: page.keyboard.press("?"),
        "time": lambda: (page.keyboard.press("Escape"), page.keyboard.press("t")),
        "live and held": lambda: (
            page.keyboard.press("Escape"),
            page.locator(".live").click(),
            page.keyboard.press("Space"),
            expect(page.locator(".pill")).to_be_visible(),
        ),
    }
    for name, enter in states.items():
        enter()
        page.evaluate(axe.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run()")["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], name


def test_no_english_is_left_in_korean(open_page: OpenPage, sender: Sender) -> None:
    page = open_with_lines(open_page, sender, language="ko")
    page.keyboard.press("j")
    page.keyboard.press("t")
    words = page.evaluate(
        """() => {
            const said = [];
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const host = walker.currentNode.parentElement;
                if (!host.closest('.list, pre, dl, kbd, .values, .name, .query, script, noscript, time'))
                    said.push(walker.currentNode.textContent);
            }
            for (const host of document.querySelectorAll('[aria-label], [title], [placeholder]'))
                if (!host.closest('.list, dl, .values'))
                    said.push(...['aria-label', 'title', 'placeholder'].map((name) => host.getAttribute(name) ?? ''));
            return said.map((text) => text.trim()).filter(Boolean);
        }"""
    )
    assert len(words) > 40
    left = [text for text in words if re.search(r"[A-Za-z]{3,}", SAME_EVERYWHERE.sub("", text))]
    assert left == []
    assert page.evaluate("document.documentElement.lang") == "ko"


def test_language_and_theme_are_remembered(open_page: OpenPage, sender: Sender) -> None:
    page = open_with_lines(open_page, sender, theme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Light").check(force=True)
    page.get_by_role("radio", name="한국어").check(force=True)
    page.reload()
    expect(page.get_by_role("button", name="실행")).to_be_visible()
    assert page.evaluate(background) != dark


def test_the_strict_policy_is_kept_and_the_editor_has_its_styles(open_page: OpenPage, sender: Sender) -> None:
    policies: list[str] = []

    def note_policy(page: Page) -> None:
        page.on("response", lambda got: policies.append(got.headers.get("content-security-policy", "")))

    sender.push([(now_ns(5), "line 1")])
    page = open_page(sender.path(), prepare=note_policy)
    expect(page.locator(".row")).to_have_count(1)
    assert "unsafe" not in policies[0]
    assert "'self'" in policies[0]
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.type('{job="x"} | ')
    expect(page.locator(".cm-tooltip-autocomplete")).to_be_visible()
    font = page.locator(".cm-scroller").evaluate("(element) => getComputedStyle(element).fontFamily")
    assert "JetBrains Mono" in font


def test_completion_knows_labels_values_and_stages(open_page: OpenPage, sender: Sender) -> None:
    page = open_with_lines(open_page, sender)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("{jo")
    options = page.locator(".cm-tooltip-autocomplete li")
    expect(options.first).to_have_text("job")
    page.wait_for_timeout(100)  # an Enter that comes with the list is not meant for it
    page.keyboard.press("Enter")
    expect(options.filter(has_text=sender.job)).to_have_count(1)
    page.keyboard.type(sender.job)
    expect(options).to_have_count(1)
    page.wait_for_timeout(100)
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_have_text(sender.selector)
    page.keyboard.press("End")
    page.keyboard.type(' |= "user=3"')
    page.keyboard.press("Control+Enter")
    expect(page.locator(".row")).to_have_count(1)


def test_the_page_works_under_a_path_prefix(open_page: OpenPage, sender: Sender, sillok_url: str) -> None:
    sender.push([(now_ns(5), "line 1")])
    asked: list[str] = []

    def behind_a_proxy(page: Page) -> None:
        def pass_on(route: Route) -> None:
            route.fulfill(response=route.fetch(url=route.request.url.replace("/logs/", "/", 1)))

        page.route("**/logs/**", pass_on)
        page.on("request", lambda request: asked.append(request.url))

    page = open_page("/logs" + sender.path(), prepare=behind_a_proxy)
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".u-over")).to_be_visible()
    assert [url for url in asked if not url.startswith(f"{sillok_url}/logs/")] == []


def test_the_scripts_stay_small() -> None:
    scripts = {path.name: len(gzip.compress(path.read_bytes(), mtime=0)) for path in FOLDER.rglob("*.js")}
    first = sum(size for name, size in scripts.items() if name.startswith("index-"))
    assert 0 < first <= FIRST_SCRIPT_BYTES
    assert sum(scripts.values()) <= ALL_SCRIPT_BYTES
