"""Structured metadata as it is stored: names in Prometheus' form, the level taken out as a hint.

Source:  Loki pkg/distributor/distributor.go (names), field_detection.go `extractLogLevel` (levels)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sillok.ingest.columns import Bools, Columns, Ints
from sillok.ingest.levels import (
    DETECTED_LEVEL,
    SEVERITY_NUMBER,
    detects_levels,
    level_of_severity_number,
    normalised,
)
from sillok.model.limits import Limits
from sillok.wire.label_names import label_name


def settled(columns: Columns, levels: Sequence[str], limits: Limits) -> tuple[Columns, pa.Array]:
    """The columns with metadata as it is stored, and a hint for the level of each entry.

    `levels` is what the labels of each stream say about the level. A hint is a level, '' (look into the
    line) or DO_NOT_DETECT. Of pairs with the same name in one entry the last counts; pairs with an empty
    value do not exist.
    """
    hints = _Hints(levels, columns.stream)
    if not columns.pair_entry.size:
        return columns, hints.column()
    pairs = _Pairs(columns)
    told = pairs.of(DETECTED_LEVEL)
    if detects_levels(limits):
        _hint_levels(pairs, hints, limits)
        hints.set(columns.pair_entry[told], pairs.hints(told, normalised))
    else:
        hints.set(columns.pair_entry[told], pairs.hints(told, str))
    return pairs.settled(told), hints.column()


def _hint_levels(pairs: _Pairs, hints: _Hints, limits: Limits) -> None:
    """The first of `log_level_fields` counts, then the severity number: so they are asked in reverse."""
    is_open = hints.are_empty()
    questions: list[tuple[str, Callable[[str], str]]] = [(SEVERITY_NUMBER, level_of_severity_number)]
    questions.extend((name, normalised) for name in reversed(limits.log_level_fields))
    for name, level_of in questions:
        found = pairs.of(name)
        found = found[is_open[pairs.entry[found]]]
        hints.set(pairs.entry[found], pairs.hints(found, level_of))


class _Hints:
    """One hint an entry, kept as indices into the few different ones there are."""

    def __init__(self, levels: Sequence[str], stream: Ints) -> None:
        different = list(dict.fromkeys(levels))
        index = {level: place for place, level in enumerate(different)}
        self._different = different
        self._of_entry: Ints = np.array([index[level] for level in levels], np.int64)[stream]

    def are_empty(self) -> Bools:
        empty = np.array([not hint for hint in self._different], np.bool_)
        is_empty: Bools = empty[self._of_entry]
        return is_empty

    def set(self, entries: Ints, hints: tuple[Ints, list[str]]) -> None:
        indices, different = hints
        self._of_entry[entries] = indices + len(self._different)
        self._different.extend(different)

    def column(self) -> pa.Array:
        return pa.array(self._different, pa.string()).take(pa.array(self._of_entry))


class _Pairs:
    """The pairs of all entries, with their names settled."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.entry = columns.pair_entry
        encoded = columns.name.dictionary_encode()
        sent = [label_name(name.decode("utf-8", "replace")) for name in encoded.dictionary.to_pylist()]
        self._names = list(dict.fromkeys(sent))
        index = {name: place for place, name in enumerate(self._names)}
        settled_of_sent = np.array([index[name] for name in sent], np.int64)
        self._name: Ints = settled_of_sent[encoded.indices.to_numpy()]
        self._is_there = pc.binary_length(columns.value).to_numpy() > 0

    def of(self, name: str) -> Ints:
        """The places of the pairs with this name that have a value."""
        if name not in self._names:
            return np.zeros(0, np.int64)
        return np.flatnonzero((self._name == self._names.index(name)) & self._is_there)

    def hints(self, places: Ints, level_of: Callable[[str], str]) -> tuple[Ints, list[str]]:
        encoded = self._columns.value.take(pa.array(places)).dictionary_encode()
        levels = [level_of(value.decode("utf-8", "replace")) for value in encoded.dictionary.to_pylist()]
        return encoded.indices.to_numpy().astype(np.int64), levels

    def settled(self, without: Ints) -> Columns:
        """The columns with the settled names, less the pairs in `without` and those that do not exist."""
        kept = self._is_there & self._is_last()
        kept[without] = False
        places = pa.array(np.flatnonzero(kept))
        names = pa.array([name.encode() for name in self._names], pa.binary())
        return replace(
            self._columns,
            pair_entry=self.entry[kept],
            name=names.take(pa.array(self._name[kept])),
            value=self._columns.value.take(places),
        )

    def _is_last(self) -> Bools:
        """Whether no later pair of the same entry has the same name."""
        key = self.entry * len(self._names) + self._name
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        is_last = np.ones(key.size, np.bool_)
        is_last[order[:-1][ordered[:-1] == ordered[1:]]] = False
        return is_last
