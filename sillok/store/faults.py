"""What the engine's error codes mean to us.

Source: ClickHouse src/Common/ErrorCodes.cpp; both drivers put `Code: N. DB::Exception: …` into their texts.
"""

from __future__ import annotations

import re

from sillok.errors import (
    Overloaded,
    QueryCancelled,
    QueryRejected,
    QueryTimeout,
    SillokError,
    StoreFull,
    StoreUnavailable,
)

_CODE = re.compile(r"Code: (\d+)")
_NO_SPACE = "No space left on device"

_FULL = frozenset({243})  # NOT_ENOUGH_SPACE: below min_free_disk_bytes_to_perform_insert, or no room to reserve
_TIMED_OUT = frozenset({159})
_CANCELLED = frozenset({394})
# No memory, or so many small parts that merges must catch up first: the same rows may come again later.
_BUSY = frozenset({241, 252})
# rows, rows or bytes to read, result rows or bytes, memory, rows or bytes of a set, size and depth of the text
_REJECTED = frozenset({158, 191, 241, 307, 396, 62, 167, 168, 306})


class EngineError(StoreUnavailable):
    """The engine refused a statement for a reason that is nobody's limit: most likely a bug of ours."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


def code_of(text: str) -> int:
    """The engine's error code in the text of an exception; 0 when there is none."""
    found = _CODE.search(text)
    return int(found.group(1)) if found else 0


def fault_of_insert(text: str) -> SillokError:
    """The error to raise when rows could not be stored. It is never one that a sender would not try again for."""
    if code_of(text) in _BUSY:
        return Overloaded("the store has no room for more work now; nothing of this was stored")
    found = fault(text)
    return found if isinstance(found, StoreUnavailable) else EngineError(str(found), code=code_of(text))


def fault(text: str) -> SillokError:
    """The error to raise for the text of a driver's exception."""
    code = code_of(text)
    if code in _FULL or _NO_SPACE in text:
        return StoreFull("the disk of the store has no room; nothing of this was stored, reads go on")
    if code in _TIMED_OUT:
        return QueryTimeout("the query took longer than its time limit")
    if code in _CANCELLED:
        return QueryCancelled("the query was cancelled")
    if code in _REJECTED:
        return QueryRejected(_limit(code))
    return EngineError(text.splitlines()[0] if text else "the engine failed without a reason", code=code)


def _limit(code: int) -> str:
    match code:
        case 241:
            return "the query needs more memory than the store may use; ask for a shorter time range or fewer streams"
        case 396:
            return (
                "the result is larger than the store may answer at once; ask for a shorter time range or a lower limit"
            )
        case 158 | 307:
            return "the query reads more than its limit; ask for a shorter time range or fewer streams"
        case _:
            return "the query is too large or too complex"
