"""An OTLP logs export as values, whatever it was written in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from sillok.errors import PushSyntaxError
from sillok.wire.otlp_values import Attributes

_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Scope:
    name: str
    version: str
    attributes: Attributes
    dropped_attributes: int


@dataclass(frozen=True, slots=True)
class Record:
    """Times are 0 where the sender gave none. Ids are empty or of their full length."""

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: str
    line: bytes
    attributes: Attributes
    dropped_attributes: int
    flags: int
    trace_id: bytes
    span_id: bytes
    event_name: str

    def __post_init__(self) -> None:
        for what, value, size in (("trace", self.trace_id, _TRACE_ID_BYTES), ("span", self.span_id, _SPAN_ID_BYTES)):
            if len(value) not in (0, size):
                raise PushSyntaxError(f"a {what} id has {len(value)} bytes, not {size}")


@dataclass(frozen=True, slots=True)
class ScopeLogs:
    scope: Scope
    records: Iterable[Record]


@dataclass(frozen=True, slots=True)
class ResourceLogs:
    attributes: Attributes
    scopes: Iterable[ScopeLogs]


Export: TypeAlias = Iterable[ResourceLogs]
