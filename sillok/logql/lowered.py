"""What a stage becomes in SQL, as far as SQL can say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sillok.sql.expr import Expr


@dataclass(frozen=True, slots=True)
class Exact:
    """The engine keeps exactly what the stage keeps: do not run it again."""

    keeps: Expr


@dataclass(frozen=True, slots=True)
class Prefilter:
    """The engine lets through all that the stage keeps, and maybe more: run it too."""

    keeps: Expr


@dataclass(frozen=True, slots=True)
class Residual:
    """SQL cannot say it: run it on rows."""


Lowered: TypeAlias = Exact | Prefilter | Residual
