"""The engine's error codes in our words. A sender gives up on its own faults, so an insert never looks like one."""

from __future__ import annotations

import pytest

from sillok.errors import (
    Overloaded,
    QueryCancelled,
    QueryRejected,
    QueryTimeout,
    SillokError,
    StoreFull,
    StoreUnavailable,
)
from sillok.store.faults import EngineError, fault, fault_of_insert


@pytest.mark.parametrize(
    ("code", "of_query", "of_insert"),
    [
        (241, QueryRejected, Overloaded),
        (252, EngineError, Overloaded),
        (243, StoreFull, StoreFull),
        (159, QueryTimeout, EngineError),
        (394, QueryCancelled, EngineError),
        (396, QueryRejected, EngineError),
        (60, EngineError, EngineError),
    ],
)
def test_a_code_means_something_else_to_a_query_and_to_an_insert(
    code: int, of_query: type[SillokError], of_insert: type[SillokError]
) -> None:
    text = f"Code: {code}. DB::Exception: something. (NAME)"
    assert type(fault(text)) is of_query
    assert type(fault_of_insert(text)) is of_insert
    assert isinstance(fault_of_insert(text), (StoreUnavailable, Overloaded))


def test_a_disk_without_room_is_told_by_its_words_too() -> None:
    assert type(fault("Code: 74. DB::Exception: write failed: No space left on device")) is StoreFull


def test_a_text_without_a_code_is_an_error_of_the_engine() -> None:
    found = fault("something broke")
    assert isinstance(found, EngineError)
    assert (found.code, str(found)) == (0, "something broke")
