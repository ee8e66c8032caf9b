"""What the page says when something is wrong, and that one wrong thing never takes the rest with it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.ui.conftest import OpenPage
from tests.ui.lines import Sender, now_ns

LINES = "**/loki/api/v1/query_range?*"
VOLUME = "**/sillok/api/v1/histogram?*"


def answering(pattern: str, status: int, body: str, kind: str = "text/plain") -> object:
    """Makes a page get this answer."""

    def prepare(page: Page) -> None:
        page.route(pattern, lambda route: route.fulfill(status=status, body=body, content_type=kind))

    return prepare


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, "internal error", "The server failed to answer."),
        (401, "no credentials", "You may not read here."),
        (429, "too many queries at once", "The server has no room for this query now."),
        (400, "parse error at line 1, col 3", "The server did not accept this query."),
    ],
)
def test_every_refusal_is_said_in_words_with_what_the_server_said(
    open_page: OpenPage, sender: Sender, complaints: list[str], status: int, body: str, words: str
) -> None:
    sender.push([(now_ns(5), "line 1")])
    page = open_page(sender.path(), prepare=answering(LINES, status, body))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(words)
    expect(alert).to_contain_text(body)
    page.unroute(LINES)
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator(".row")).to_have_count(1)
    expect(alert).to_have_count(0)
    complaints.clear()


def test_a_wrong_query_shows_the_servers_own_message(
    open_page: OpenPage, sender: Sender, complaints: list[str]
) -> None:
    page = open_page(sender.path('{job="x"} |= '))
    expect(page.get_by_role("alert")).to_contain_text("The server did not accept this query.")
    expect(page.get_by_role("alert").locator("code")).not_to_be_empty()
    complaints.clear()


def test_lines_stay_when_the_server_goes_away(open_page: OpenPage, sender: Sender, complaints: list[str]) -> None:
    sender.push([(now_ns(5), "line 1")])
    page = open_page(sender.path())
    expect(page.locator(".row")).to_have_count(1)
    page.route("**/api/v1/**", lambda route: route.abort())
    page.keyboard.press("r")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    expect(page.locator(".row")).to_have_count(1)
    complaints.clear()


def test_a_volume_that_fails_never_hides_a_line(open_page: OpenPage, sender: Sender, complaints: list[str]) -> None:
    sender.push([(now_ns(5), "line 1")])
    page = open_page(sender.path(), prepare=answering(VOLUME, 500, "no"))
    expect(page.locator(".row")).to_have_count(1)
    expect(page.get_by_text("The volume could not be counted.")).to_be_visible()
    page.unroute(VOLUME)
    page.get_by_role("region", name="Lines over time").get_by_role("button", name="Try again").click()
    expect(page.locator(".u-over")).to_be_visible()
    complaints.clear()


def test_lines_do_not_wait_for_a_slow_volume(open_page: OpenPage, sender: Sender) -> None:
    sender.push([(now_ns(5), "line 1")])
    held: list[Route] = []
    page = open_page(sender.path(), prepare=lambda page: page.route(VOLUME, lambda route: held.append(route)))
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".u-over")).to_have_count(0)
    for route in held:
        route.continue_()
    expect(page.locator(".u-over")).to_be_visible()


def test_numbers_instead_of_lines_are_explained(open_page: OpenPage, sender: Sender) -> None:
    sender.push([(now_ns(5), "line 1")])
    matrix = '{"status":"success","data":{"resultType":"matrix","result":[]}}'
    page = open_page(sender.path(), prepare=answering(LINES, 200, matrix, "application/json"))
    expect(page.get_by_role("alert")).to_contain_text("This query gives numbers")


def test_a_slow_query_can_be_stopped(open_page: OpenPage, sender: Sender) -> None:
    sender.push([(now_ns(5), "line 1")])
    page = open_page(sender.path(), prepare=lambda page: page.route(LINES, lambda route: None))
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()


def test_levels_are_picked_by_the_page_where_the_server_cannot(
    open_page: OpenPage, sender: Sender, complaints: list[str]
) -> None:
    """A query with a stage for levels is refused; the page says of how many lines it picked them."""
    newest = now_ns(5)
    sender.push([(newest - i, f'level={"error" if i % 50 == 0 else "info"} msg="line {i}"') for i in range(300)])

    def refuse_stage(route: Route) -> None:
        if "detected_level" in route.request.url:
            route.fulfill(status=400, body="parse error: no such stage")
        else:
            route.continue_()

    page = open_page(sender.path(limit="100", levels="error"), prepare=lambda page: page.route(LINES, refuse_stage))
    expect(page.locator(".shown")).to_have_text("6 lines")
    assert page.locator(".row .level").all_inner_texts() == ["ERR"] * 6
    page.get_by_role("button", name="All levels").click()
    expect(page.locator(".shown")).to_have_text(re.compile("300"))
    complaints.clear()
