"""The stages of a pipeline: one a file, its meaning on rows and in SQL side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, assert_never

from sillok.logql import ast
from sillok.logql.lowered import Lowered
from sillok.logql.stages.line_filter import LineFilterStage
from sillok.model.entry import Entry


class Stage(Protocol):
    """One step. `run` is the meaning: lazy, in order, one pass; `lower` says the same in SQL."""

    def run(self, entries: Iterable[Entry]) -> Iterator[Entry]: ...

    def lower(self) -> Lowered: ...


def build(node: ast.Stage) -> Stage:
    """The stage of a node.

    Raises:
        BadRequest: a pattern in it is none.
    """
    match node:
        case ast.LineFilter():
            return LineFilterStage(node)
    assert_never(node)
