"""A finished statement: text with named holes, and the values that are bound to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = str | bytes | int | float | bool
Value: TypeAlias = Scalar | tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with `{name:Type}` holes. Values never enter the text; engines bind `params`.

    `is_housekeeping` marks what the house does for all tenants at once (start-up, retention, migrations);
    every other statement on a tenant's table must name one tenant and a time range, or the engine's door
    refuses it.
    """

    text: str
    params: Mapping[str, Value] = field(default_factory=dict)
    is_housekeeping: bool = False
