"""A finished statement: text with named holes, and the values that are bound to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = str | bytes | int | float | bool
Value: TypeAlias = Scalar | tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with `{name:Type}` holes. Values never enter the text; engines bind `params`."""

    text: str
    params: Mapping[str, Value] = field(default_factory=dict)
