"""Label matchers: `app="api"`, `app!="api"`, `app=~"a.*"`, `app!~"a.*"`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MatchOp(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. A label that is absent has the empty value, as in Prometheus.

    Regular expressions are RE2 and anchored at both ends.
    """

    name: str
    op: MatchOp
    value: str
