"""Tree → plan: what the engine does, and what is left to do with its rows.

A pipeline is cut at the first stage that SQL cannot say exactly: stages behind it may see changed lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sillok.logql import ast
from sillok.logql.lowered import Exact, Prefilter, Residual
from sillok.logql.stages import Stage, build
from sillok.model.entry import Entry
from sillok.model.matcher import Matcher
from sillok.sql.expr import Expr, all_of


@dataclass(frozen=True, slots=True)
class LogPlan:
    """`matchers` choose the streams, `where` the rows (None: all), `residual` runs on what comes back."""

    matchers: tuple[Matcher, ...]
    where: Expr | None
    residual: tuple[Stage, ...] = ()

    def run(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """What the residual stages keep."""
        kept = iter(entries)
        for stage in self.residual:
            kept = stage.run(kept)
        return kept


def plan_log(query: ast.LogQuery) -> LogPlan:
    conditions: list[Expr] = []
    stages = [build(node) for node in query.stages]
    for position, stage in enumerate(stages):
        match stage.lower():
            case Exact(keeps):
                conditions.append(keeps)
            case Prefilter(keeps):
                conditions.append(keeps)
                return _plan(query, conditions, stages[position:])
            case Residual():
                return _plan(query, conditions, stages[position:])
    return _plan(query, conditions, [])


def _plan(query: ast.LogQuery, conditions: list[Expr], residual: list[Stage]) -> LogPlan:
    where = all_of(conditions) if conditions else None
    return LogPlan(query.selector.matchers, where, tuple(residual))
