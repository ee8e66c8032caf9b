from __future__ import annotations

import logging

import pytest

from sillok.agent.notices import MAX_REPEAT_S, Notices


class ManualClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_state_is_said_when_it_begins_and_ever_more_rarely_after(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sillok.agent")
    clock = ManualClock()
    notices = Notices(clock)
    for _ in range(24 * 3600):
        clock.now += 1
        notices.state("send", "the store does not answer")
    assert len(caplog.records) <= 6 + 24 * 3600 / MAX_REPEAT_S


def test_a_state_that_comes_and_goes_says_as_little(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sillok.agent")
    clock = ManualClock()
    notices = Notices(clock)
    for _ in range(3600):
        clock.now += 1
        notices.state("send", "the store does not answer")
        notices.over("send", "it answers again")
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) <= 14
    assert texts[:2] == ["the store does not answer", "it answers again"]


def test_the_end_of_a_state_that_was_not_said_is_not_said_either(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sillok.agent")
    Notices(ManualClock()).over("send", "it answers again")
    assert not caplog.records
