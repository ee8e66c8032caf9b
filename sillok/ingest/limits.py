"""Which entries of a push are over a limit of their tenant; Loki's reasons, texts and order of checks.

Source:  Loki pkg/distributor/validator.go `ValidateEntry`, pkg/validation/validate.go
Differs: lines are never refused as out of order or too far behind: late lines are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np
import pyarrow.compute as pc

from sillok.ingest.columns import Bools, Columns, Ints
from sillok.ingest.streams import Admitted
from sillok.model.limits import Limits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry that is not stored. `entry` is its place in the columns."""

    entry: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the checks look at, one item an entry."""

    time_ns: Ints
    line_bytes: Ints
    pairs: Ints
    pair_bytes: Ints


@dataclass(frozen=True, slots=True)
class _Bounds:
    limits: Limits
    oldest_ns: int
    newest_ns: int


def truncated(columns: Columns, limits: Limits) -> Columns:
    """The lines cut to the longest that is allowed, when the tenant wants them cut and not refused."""
    longest = limits.max_line_size_bytes
    if not limits.max_line_size_truncate or not longest or not len(columns):
        return columns
    if pc.max(pc.binary_length(columns.line)).as_py() <= longest:
        return columns
    return replace(columns, line=pc.binary_slice(columns.line, 0, longest))


def refusals(columns: Columns, streams: Sequence[Admitted], limits: Limits, *, now_ns: int) -> list[Refusal]:
    """The entries over a limit. `streams` are those that `columns.stream` counts."""
    facts = _Facts(columns.time_ns, columns.line_bytes, columns.pairs, columns.pair_bytes)
    bounds = _Bounds(limits, now_ns - limits.reject_old_samples_max_age_ns, now_ns + limits.creation_grace_period_ns)
    refused: list[Refusal] = []
    is_open = np.ones(len(columns), np.bool_)
    for check in _CHECKS:
        found = check.finds(facts, bounds) & is_open
        if not found.any():
            continue
        is_open &= ~found
        for entry in np.flatnonzero(found).tolist():
            text = streams[columns.stream[entry]].text
            refused.append(Refusal(entry, check.reason, check.message(text, facts, entry, bounds)))
    return refused


def _seconds(time_ns: int) -> str:
    """RFC 3339 without fractions, as Go formats it."""
    return (_EPOCH + timedelta(seconds=time_ns // 1_000_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")


_Message: TypeAlias = Callable[[str, _Facts, int, _Bounds], str]


@dataclass(frozen=True, slots=True)
class _Check:
    reason: str
    finds: Callable[[_Facts, _Bounds], Bools]
    message: _Message


def _finds_old(facts: _Facts, bounds: _Bounds) -> Bools:
    return (facts.time_ns < bounds.oldest_ns) & bounds.limits.reject_old_samples


def _finds_long(facts: _Facts, bounds: _Bounds) -> Bools:
    longest = bounds.limits.max_line_size_bytes
    return (facts.line_bytes > longest) & (longest != 0)


def _finds_disallowed(facts: _Facts, bounds: _Bounds) -> Bools:
    return (facts.pairs > 0) & (not bounds.limits.allow_structured_metadata)


def _finds_large(facts: _Facts, bounds: _Bounds) -> Bools:
    largest = bounds.limits.max_structured_metadata_size_bytes
    return (facts.pair_bytes > largest) & (largest != 0)


def _finds_many(facts: _Facts, bounds: _Bounds) -> Bools:
    most = bounds.limits.max_structured_metadata_entries_count
    return (facts.pairs > most) & (most != 0)


# In Loki's order: the first that finds an entry gives the reason.
_CHECKS = (
    _Check(
        "greater_than_max_sample_age",
        _finds_old,
        lambda stream, facts, entry, bounds: (
            f"entry for stream '{stream}' has timestamp too old: {_seconds(int(facts.time_ns[entry]))}, "
            f"oldest acceptable timestamp is: {_seconds(bounds.oldest_ns)}"
        ),
    ),
    _Check(
        "too_far_in_future",
        lambda facts, bounds: facts.time_ns > bounds.newest_ns,
        lambda stream, facts, entry, _: (
            f"entry for stream '{stream}' has timestamp too new: {_seconds(int(facts.time_ns[entry]))}"
        ),
    ),
    _Check(
        "line_too_long",
        _finds_long,
        lambda stream, facts, entry, bounds: (
            f"max entry size '{bounds.limits.max_line_size_bytes}' bytes exceeded for stream '{stream}' "
            f"while adding an entry with length '{facts.line_bytes[entry]}' bytes"
        ),
    ),
    _Check(
        "disallowed_structured_metadata",
        _finds_disallowed,
        lambda stream, *_: (
            f"stream '{stream}' includes structured metadata, but this feature is disallowed. Please see "
            "`limits_config.allow_structured_metadata` or contact your Loki administrator to enable it"
        ),
    ),
    _Check(
        "structured_metadata_too_large",
        _finds_large,
        lambda stream, facts, entry, bounds: (
            f"stream '{stream}' has structured metadata too large: '{facts.pair_bytes[entry]}' bytes, limit: "
            f"'{bounds.limits.max_structured_metadata_size_bytes}' bytes. Please see "
            "`limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it"
        ),
    ),
    _Check(
        "structured_metadata_too_many",
        _finds_many,
        lambda stream, facts, entry, bounds: (
            f"stream '{stream}' has too many structured metadata labels: '{facts.pairs[entry]}', limit: "
            f"'{bounds.limits.max_structured_metadata_entries_count}'. Please see "
            "`limits_config.max_structured_metadata_entries_count` or contact your Loki administrator to increase it"
        ),
    ),
)
