"""A key of `sillok.yaml` is a field of a settings dataclass: its kind, default and meaning stand beside it.

`section` and `key` declare; `keys_of` lists what was declared, and everything else (reading, the
environment's names, the reference page, the effective configuration) is made from that list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from sillok.config.kinds import Kind

ENVIRONMENT_PREFIX = "SILLOK_"

_KEY = "sillok.key"
_SECTION = "sillok.section"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: `path` as people write it (`server.listen`), the dataclass field it fills, what it means."""

    path: str
    attribute: str
    kind: Kind
    default: Any
    doc: str

    @property
    def environment_name(self) -> str:
        return ENVIRONMENT_PREFIX + self.path.replace(".", "_").upper()


@dataclass(frozen=True, slots=True)
class Section:
    path: str
    doc: str


class Row(Protocol):
    """A key of a class that is declared in a table beside it, because the class knows no configuration."""

    @property
    def name(self) -> str: ...
    @property
    def attribute(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def doc(self) -> str: ...


def key(default: Any, kind: Kind, doc: str) -> Any:
    """A field that is a key."""
    return field(default=default, metadata={_KEY: (kind, doc)})


def section(cls: type, doc: str, *, rows: Sequence[Row] | None = None) -> Any:
    """A field that holds the keys declared in `cls`, or in `rows` for a class that declares none."""
    return field(default_factory=cls, metadata={_SECTION: (cls, doc, rows)})


def keys_of(cls: type, prefix: str = "") -> Iterator[Key | Section]:
    """Everything declared below `cls`, sections before their keys, in the order of declaration."""
    for item in fields(cls):
        if _SECTION not in item.metadata:
            kind, doc = item.metadata[_KEY]
            yield Key(prefix + written(item.name), item.name, kind, item.default, doc)
            continue
        inner, doc, rows = item.metadata[_SECTION]
        yield Section(prefix + item.name, doc)
        if rows is None:
            yield from keys_of(inner, f"{prefix}{item.name}.")
        else:
            yield from _keys_of_rows(inner, rows, f"{prefix}{item.name}.")


def _keys_of_rows(cls: type, rows: Iterable[Row], prefix: str) -> Iterator[Key]:
    defaults = cls()
    for row in rows:
        yield Key(prefix + row.name, row.attribute, row.kind, getattr(defaults, row.attribute), row.doc)


def build(cls: type, values: Mapping[str, Any], prefix: str = "") -> Any:
    """An instance of `cls` from values by path; what is not there keeps its default."""
    given: dict[str, Any] = {}
    for item in fields(cls):
        if _SECTION in item.metadata:
            inner, _, rows = item.metadata[_SECTION]
            path = f"{prefix}{item.name}."
            given[item.name] = build(inner, values, path) if rows is None else _build_rows(inner, rows, values, path)
        elif prefix + written(item.name) in values:
            given[item.name] = values[prefix + written(item.name)]
    return cls(**given)


def written(attribute: str) -> str:
    """A field's name as people write it: the value carries the unit (`10s`, `64MB`), so the key does not."""
    return attribute.removesuffix("_ns").removesuffix("_bytes")


def _build_rows(cls: type, rows: Iterable[Row], values: Mapping[str, Any], prefix: str) -> Any:
    return cls(**{row.attribute: values[prefix + row.name] for row in rows if prefix + row.name in values})


def value_of(settings: Any, key: Key) -> Any:
    """The value that `key` has in `settings`."""
    for name in key.path.split(".")[:-1]:
        settings = getattr(settings, name)
    return getattr(settings, key.attribute)
