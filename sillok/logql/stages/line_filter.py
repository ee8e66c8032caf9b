r"""`|= "x"`, `!= "x"`, `|~ "re"`, `!~ "re"`: keep or drop an entry by its line.

Several texts with `or` between them: one of them is enough; negated, none may be found.

Source: Loki pkg/logql/log/filter.go; grafana.com/docs/loki/latest/query/log_queries/#line-filter-expression
Differs: in `|= "x" or ""` the empty text is found everywhere, as it is alone; Loki leaves it out of the `or`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sillok.logql import ast
from sillok.logql.lowered import Exact, Lowered
from sillok.model.entry import Entry
from sillok.schema.logs import LINE
from sillok.sql.expr import Bound, Expr, any_of, call, not_
from sillok.text.regex import Regex, compile_regex

_NEGATED = (ast.LineOp.LACKS, ast.LineOp.MATCHES_NOT)
_BY_REGEX = (ast.LineOp.MATCHES, ast.LineOp.MATCHES_NOT)


@dataclass(frozen=True, slots=True)
class LineFilterStage:
    node: ast.LineFilter
    _patterns: tuple[Regex, ...] = field(init=False)

    def __post_init__(self) -> None:
        texts = self.node.texts if self.node.op in _BY_REGEX else ()
        object.__setattr__(self, "_patterns", tuple(compile_regex(text) for text in texts))

    def run(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        finders = self._finders()
        negated = self.node.op in _NEGATED
        return (entry for entry in entries if any(found(entry.line) for found in finders) != negated)

    def lower(self) -> Lowered:
        if self.node.op in _BY_REGEX:
            # ClickHouse lets `.` match a newline unless told otherwise; Go does not.
            found = any_of([call("match", LINE, _bound(f"(?-s){text}")) for text in self.node.texts])
        else:
            found = any_of([_contains(text) for text in self.node.texts])
        return Exact(not_(found) if self.node.op in _NEGATED else found)

    def _finders(self) -> list[Callable[[str], bool]]:
        if self.node.op in _BY_REGEX:
            return [pattern.matches for pattern in self._patterns]
        return [_containing(text) for text in self.node.texts]


def _containing(needle: str) -> Callable[[str], bool]:
    return lambda line: needle in line


def _contains(needle: str) -> Expr:
    # Not LIKE: there `%`, `_` and `\` would mean something.
    return call("notEquals", call("position", LINE, _bound(needle)), Bound(0))


def _bound(text: str) -> Bound:
    """The text, or its bytes when they are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return Bound(text.encode("utf-8", "surrogateescape"))
    return Bound(text)
