"""The effective configuration as text: what every key is, and who said so. Without secrets."""

from __future__ import annotations

from collections.abc import Iterator

from sillok.config.keys import value_of
from sillok.config.sillok import KEYS, Effective


def render(effective: Effective) -> str:
    """`sillok.yaml` with every key in it; a comment says which place set the ones that are not defaults."""
    return "\n".join(_lines(effective)) + "\n"


def _lines(effective: Effective) -> Iterator[str]:
    opened: tuple[str, ...] = ()
    for path, key in KEYS.items():
        *sections, name = path.split(".")
        for depth in range(len(sections)):
            if opened[: depth + 1] != tuple(sections[: depth + 1]):
                yield "  " * depth + sections[depth] + ":"
        opened = tuple(sections)
        shown = key.kind.show(value_of(effective.settings, key))
        place = effective.places.get(path)
        comment = f"  # {place}" if place else ""
        yield "  " * len(sections) + f"{name}: {shown}{comment}"
