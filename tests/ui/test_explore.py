"""The Explore page: T-01, T-02, T-11, T-12, T-13, T-17, V-04."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.e2e.system import real_sillok
from tests.ui.conftest import OpenPage
from tests.ui.lines import Sender, now_ns

ROWS = ".row"
MESSAGES = ".row .message"
SHOWN = ".shown"


def messages(page: Page) -> list[str]:
    """The lines in the page, top to bottom."""
    return page.locator(MESSAGES).all_inner_texts()


def walk(page: Page) -> list[str]:
    """All lines of the list, top to bottom, as somebody sees them who scrolls through it. Every row once."""
    found: list[str] = page.evaluate(
        """async () => {
            const list = document.querySelector('.list');
            const seen = new Map();
            for (let y = 0; ; y += 400) {
                list.scrollTop = y;
                await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                for (const row of list.querySelectorAll('.row')) {
                    const place = Math.round(row.getBoundingClientRect().top + list.scrollTop);
                    seen.set(place, row.querySelector('.message').textContent);
                }
                if (list.scrollTop + list.clientHeight >= list.scrollHeight) break;
            }
            return [...seen].sort(([a], [b]) => a - b).map(([, text]) => text);
        }"""
    )
    return found


def query_text(page: Page) -> str:
    return page.locator(".cm-content").inner_text().strip()


def type_query(page: Page, text: str) -> None:
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Control+Enter")


def numbers(texts: list[str]) -> list[int]:
    return [int(found[1]) for text in texts if (found := re.search(r"line (\d+)", text))]


def test_a_pushed_line_is_on_the_page_with_its_level_and_service(open_page: OpenPage, sender: Sender) -> None:
    sender.push([(now_ns(5), '{"level":"error","msg":"no seat left","user":7}')], service="seat-api")
    page = open_page(sender.path())
    row = page.locator(ROWS)
    expect(row).to_have_count(1)
    expect(row.locator(".message")).to_have_text("no seat left  user=7")
    expect(row.locator(".level")).to_have_text("ERR")
    expect(row.locator(".service")).to_have_text("seat-api")
    expect(page.locator(SHOWN)).to_have_text("1 line")


def test_five_thousand_lines_stay_light_and_lose_no_row(open_page: OpenPage, sender: Sender) -> None:
    sender.push_numbered(5_000)
    page = open_page(sender.path(limit="5000"))
    expect(page.locator(SHOWN)).to_have_text(re.compile("5,000"))
    assert page.locator(ROWS).count() < 120
    assert numbers(messages(page))[0] == 4_999
    page.keyboard.press("g")
    expect(page.locator(MESSAGES).last).to_have_text(re.compile(r"^line 0\b"))
    page.keyboard.press("Shift+G")
    expect(page.locator(MESSAGES).first).to_have_text(re.compile(r"^line 4999\b"))
    assert numbers(walk(page)) == list(range(4_999, -1, -1))


def test_older_lines_join_without_a_gap_and_without_a_double(open_page: OpenPage, sender: Sender) -> None:
    same_instant = now_ns(60)
    sender.push([(same_instant, f"line {i}") for i in range(30)])
    sender.push([(same_instant + 1 + i, f"line {30 + i}") for i in range(90)])
    page = open_page(sender.path(limit="100"))
    expect(page.locator(SHOWN)).to_have_text(re.compile("Newest 100"))
    page.get_by_role("button", name="Load older").click()
    expect(page.locator(SHOWN)).to_have_text("120 lines")
    page.keyboard.press("g")
    expect(page.locator(MESSAGES).last).to_be_visible()
    shown = numbers(messages(page))
    assert len(shown) == len(set(shown))


def test_live_shows_every_new_line_once(open_page: OpenPage, sender: Sender) -> None:
    sender.push_numbered(10, minutes=1)
    page = open_page(sender.path())
    expect(page.locator(ROWS)).to_have_count(10)
    page.get_by_role("button", name="Live", exact=True).click()
    expect(page.locator(".live .rate")).to_be_visible()
    for first in range(10, 2_010, 50):  # about 500 lines a second
        sender.push([(now_ns() + i, f"line {first + i}") for i in range(50)])
        time.sleep(0.09)
    expect(page.locator(SHOWN)).to_have_text("2,010 lines")
    assert "live=1" in page.url
    assert numbers(walk(page)) == list(range(2_009, -1, -1))


def test_a_held_tail_does_not_move_and_says_what_waits(open_page: OpenPage, sender: Sender) -> None:
    sender.push_numbered(300, minutes=5)
    page = open_page(sender.path(live="1"))
    expect(page.locator(".live .rate")).to_be_visible()
    page.locator(".list").hover()
    page.mouse.wheel(0, 900)
    expect(page.locator(".pill")).to_be_visible()
    before = _row_in_the_middle(page)
    sender.push([(now_ns() + i, f"line {300 + i}") for i in range(50)])
    expect(page.locator(".pill")).to_have_text(re.compile("50 new lines"))
    assert _row_in_the_middle(page) == before
    page.keyboard.press("Space")
    expect(page.locator(".pill")).to_have_count(0)
    expect(page.locator(SHOWN)).to_have_text("350 lines")
    expect(page.locator(MESSAGES).first).to_have_text(re.compile("line 349"))


def _row_in_the_middle(page: Page) -> Any:
    return page.evaluate(
        """() => {
            const box = document.querySelector('.list').getBoundingClientRect();
            const row = document.elementFromPoint(box.left + 300, box.top + 300).closest('.row');
            return [row.textContent, Math.round(row.getBoundingClientRect().top)];
        }"""
    )


def test_a_cut_tail_goes_on_where_it_stopped(open_page: OpenPage, sender: Sender, complaints: list[str]) -> None:
    sender.push_numbered(5, minutes=1)
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page = open_page(sender.path(live="1"), prepare=lambda page: page.route_web_socket("**/tail?*", pass_on))
    expect(page.locator(".live .rate")).to_be_visible()
    sender.push([(now_ns(), "line 5")])
    expect(page.locator(SHOWN)).to_have_text("6 lines")
    sockets[0].close(code=1001, reason="cut")
    expect(page.locator(".live")).to_have_text(re.compile("Reconnecting"))
    sender.push([(now_ns(), "line 6")])
    expect(page.locator(SHOWN)).to_have_text("7 lines")
    assert numbers(messages(page)) == [6, 5, 4, 3, 2, 1, 0]


def test_words_without_a_selector_are_found_in_every_service(open_page: OpenPage, sender: Sender) -> None:
    """T-12: the path of one user through the services, in the order of time."""
    user = f"user_{sender.job}"
    for i, service in enumerate(("queue", "api", "ticket")):
        sender.push([(now_ns(30 - i), f"{service} took {user}"), (now_ns(30 - i), "somebody else")], service=service)
    page = open_page("/?order=oldest")
    page.locator(".cm-content").wait_for()
    type_query(page, user)
    expect(page.locator(ROWS)).to_have_count(3)
    assert page.locator(".row .service").all_inner_texts() == ["queue", "api", "ticket"]
    expect(page.locator(".row .hit").first).to_have_text(user)
    assert f'|= "{user}"' in query_text(page)


def test_errors_only_leaves_the_errors(open_page: OpenPage, sender: Sender, complaints: list[str]) -> None:
    """T-13."""
    sender.push_numbered(40, minutes=2)
    sender.push([(now_ns(1), 'level=error msg="broken"')])
    page = open_page(sender.path())
    expect(page.locator(ROWS).first).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator(SHOWN)).to_have_text("1 line")
    expect(page.locator(MESSAGES)).to_have_text(["broken"])
    assert "levels=critical%2Cerror" in page.url
    page.keyboard.press("e")
    expect(page.locator(SHOWN)).to_have_text("41 lines")
    _forgive_a_refused_stage(complaints)


def _forgive_a_refused_stage(complaints: list[str]) -> None:
    """A server without label filters refuses the stage once; the page then picks the levels itself."""
    complaints[:] = [said for said in complaints if "400 (Bad Request)" not in said]


def test_a_click_on_a_value_edits_the_query_and_back_undoes_it(open_page: OpenPage, sender: Sender) -> None:
    sender.push([(now_ns(9), "line 1"), (now_ns(8), "line 2")], service="web")
    sender.push([(now_ns(7), "line 3")], service="api")
    page = open_page(sender.path())
    expect(page.locator(ROWS)).to_have_count(3)
    page.keyboard.press("j")
    page.get_by_role("button", name="Only lines with service = api", exact=True).last.click()
    expect(page.locator(ROWS)).to_have_count(1)
    assert f'job="{sender.job}", service="api"' in query_text(page)
    page.go_back()
    expect(page.locator(ROWS)).to_have_count(3)
    page.locator(ROWS).first.click()
    page.get_by_role("button", name="Without lines with service = api", exact=True).last.click()
    expect(page.locator(ROWS)).to_have_count(2)


def test_keys_move_the_selection_and_details_follow(open_page: OpenPage, sender: Sender) -> None:
    sender.push_numbered(20, minutes=1)
    sender.push([(now_ns(300), 'level=error msg="line 100"')])
    page = open_page(sender.path())
    expect(page.locator(ROWS)).to_have_count(21)
    page.keyboard.press("j")
    page.keyboard.press("j")
    details = page.get_by_role("complementary", name="Details of the line")
    expect(details.locator("pre")).to_have_text(re.compile('msg="line 18"'))
    page.keyboard.press("Shift+J")
    expect(details.locator("pre")).to_have_text(re.compile('msg="line 100"'))
    page.keyboard.press("Escape")
    expect(details).to_have_count(0)


def test_the_selected_line_stays_in_sight_when_the_details_narrow_the_list(open_page: OpenPage, sender: Sender) -> None:
    newest = now_ns(1)
    sender.push([(newest - i * 1_000, f"line {i} " + "word " * (20 + i % 50)) for i in range(600)])
    sender.push([(newest - 150_500, "level=error line 9999")])
    page = open_page(sender.path())
    expect(page.locator(ROWS).first).to_be_visible()
    page.keyboard.press("Shift+J")
    expect(page.get_by_role("complementary", name="Details of the line")).to_be_visible()
    expect(page.locator(".row[aria-selected=true]")).to_be_in_viewport()
    page.keyboard.press("Backslash")
    expect(page.get_by_role("complementary", name="Labels")).to_have_count(0)
    expect(page.locator(".row[aria-selected=true]")).to_be_in_viewport()


def test_a_shared_address_opens_the_same_lines_and_the_same_selection(open_page: OpenPage, sender: Sender) -> None:
    sender.push_numbered(20, minutes=1)
    page = open_page(sender.path(), permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator(ROWS)).to_have_count(20)
    page.locator(ROWS).nth(4).click()
    page.get_by_role("button", name="Copy link to this line").click()
    address = page.evaluate("navigator.clipboard.readText()")
    other = open_page(address)
    expect(other.locator(ROWS)).to_have_count(20)
    expect(other.locator(".row[aria-selected=true] .message")).to_have_text(re.compile(r"^line 15\b"))


def test_dragging_over_the_volume_zooms_and_the_way_back_is_one_click(open_page: OpenPage, sender: Sender) -> None:
    sender.push_numbered(60, minutes=50)
    page = open_page(sender.path())
    expect(page.locator(SHOWN)).to_have_text("60 lines")
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 30, steps=5)
    page.mouse.up()
    expect(page.locator(SHOWN)).to_have_text(re.compile(r"^[1-5]\d lines$"))
    zoomed = int(page.locator(SHOWN).inner_text().split()[0])
    assert 10 <= zoomed <= 25
    page.get_by_role("button", name="Back to Last hour").click()
    expect(page.locator(SHOWN)).to_have_text("60 lines")


def test_selected_lines_are_copied_as_lines(open_page: OpenPage, sender: Sender) -> None:
    sender.push([(now_ns(9 - i), f'level=warn msg="line {i}" user={i}') for i in range(3)])
    page = open_page(sender.path(order="oldest"), permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator(ROWS)).to_have_count(3)
    first, last = page.locator(MESSAGES).first.bounding_box(), page.locator(MESSAGES).last.bounding_box()
    assert first is not None
    assert last is not None
    page.mouse.move(first["x"] + 2, first["y"] + 10)
    page.mouse.down()
    page.mouse.move(last["x"] + 60, last["y"] + 10, steps=4)
    page.mouse.up()
    expect(page.get_by_role("complementary", name="Details of the line")).to_have_count(0)
    page.keyboard.press("Control+c")
    lines = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert [re.sub(r"^[\d:.]+ ", "", line) for line in lines] == [f"WRN api line {i}  user={i}" for i in range(3)]


def test_labels_and_their_values_lead_into_the_query(open_page: OpenPage, sender: Sender) -> None:
    """T-02, V-03."""
    service = f"svc-{sender.job}"
    sender.push([(now_ns(5), "line 1")], service=service, labels={"host": "backend-instance"})
    sender.push([(now_ns(5), "line 2")], service="web")
    page = open_page(sender.path())
    labels = page.get_by_role("complementary", name="Labels")
    labels.get_by_role("button", name="host").click()
    expect(labels.get_by_role("button", name="backend-instance", exact=True)).to_be_visible()
    labels.get_by_role("button", name=service, exact=True).click()
    expect(page.locator(MESSAGES)).to_have_text(["line 1"])
    assert f'service="{service}"' in query_text(page)


def test_an_empty_answer_says_what_to_do(open_page: OpenPage, sender: Sender) -> None:
    sender.push([(now_ns(2 * 3600), "line 1")])
    page = open_page(sender.path())
    expect(page.get_by_role("heading", name="No lines in this time range: Last hour")).to_be_visible()
    page.get_by_role("button", name="Look at the last 6 hours").click()
    expect(page.locator(ROWS)).to_have_count(1)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's first suggestion is a curl command")
def test_an_empty_store_says_how_to_send_the_first_line_and_shows_it(open_page: OpenPage, tmp_path: Path) -> None:
    with real_sillok(tmp_path) as url:
        page = open_page(f"{url}/")
        expect(page.get_by_role("heading", name="No log line has arrived yet")).to_be_visible()
        by_hand = page.locator("pre").first.inner_text()
        assert f"{url}/loki/api/v1/push" in by_hand
        subprocess.run(["sh", "-c", by_hand], check=True)
        expect(page.locator(MESSAGES)).to_have_text(["hello from curl"])


def test_lines_of_terminal_colours_stacks_korean_and_emoji_are_shown_whole(open_page: OpenPage, sender: Sender) -> None:
    stack = 'Traceback (most recent call last):\n  File "/app/hold.py", line 3\nValueError: 좌석 없음 😀'
    sender.push([(now_ns(5), stack), (now_ns(6), "\x1b[31mred\x1b[0m words")])
    page = open_page(sender.path())
    expect(page.locator(ROWS)).to_have_count(2)
    assert messages(page) == [stack, "red words"]
    box = page.locator(ROWS).first.bounding_box()
    assert box is not None
    assert box["height"] == 60


@pytest.mark.parametrize("width", [390, 768, 1024, 1280, 1600])
def test_the_page_never_scrolls_sideways(open_page: OpenPage, sender: Sender, width: int) -> None:
    sender.push([(now_ns(5), "word " * 100 + "x" * 3_000)])
    page = open_page(sender.path(), size={"width": width, "height": 800})
    page.locator(ROWS).first.click()
    expect(page.get_by_role("complementary", name="Details of the line")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Time range").click()
    panel = page.get_by_role("dialog").bounding_box()
    assert panel is not None
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.querySelector('main').scrollWidth") == width
