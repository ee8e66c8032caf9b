"""A YAML document as nodes that know their line, so that every complaint can name it.

Values stay text here: what `on`, `1_000` or `3:25` means is decided by the key that takes the value, never
by YAML's own guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from sillok.errors import ConfigError

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024  # far above any hand-written configuration
MAX_DEPTH = 64  # of nested lists and mappings; deeper ones are refused, not followed
MAX_NODES = 100_000  # with aliases counted as often as they are used: ten lines of them could mean billions

# A value's place for a person: `sillok.yaml:12`, `environment variable SILLOK_DATA`, `--set data=…`.
Place: TypeAlias = str


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written. `is_null` when nothing, `~` or `null` was written without quotes."""

    text: str
    place: Place
    is_null: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    nodes: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order they were written; no key twice."""

    pairs: tuple[tuple[Scalar, Node], ...]
    place: Place

    def get(self, name: str) -> Node | None:
        return next((node for key, node in self.pairs if key.text == name), None)


Node: TypeAlias = Scalar | Items | Mapping


def read(text: str, filename: str) -> Mapping:
    """The mapping at the top of a YAML document; an empty document is an empty mapping.

    Raises:
        ConfigError: it is not YAML, not one mapping, too large, too deep, or has a key twice.
    """
    if len(text) > MAX_DOCUMENT_BYTES:
        raise ConfigError(f"{filename}: longer than {MAX_DOCUMENT_BYTES} bytes: this is not a configuration file")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_text(error, filename)) from error
    except RecursionError:
        raise ConfigError(f"{filename}: nested deeper than {MAX_DEPTH} levels") from None
    if root is None:
        return Mapping((), f"{filename}:1")
    node = _Conversion(lambda line: f"{filename}:{line + 1}").node(root)
    if isinstance(node, Scalar) and node.is_null:
        return Mapping((), node.place)
    if not isinstance(node, Mapping):
        raise ConfigError(f"{node.place}: expected `key: value` lines, found {describe(node)}")
    return node


def read_value(text: str, place: Place) -> Node:
    """A value in YAML's flow form (`[a, b]`, `{a: 1}`) that came from a flag or the environment."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{place}: {text!r} is not a YAML value: {_problem(error)}") from error
    except RecursionError:
        raise ConfigError(f"{place}: nested deeper than {MAX_DEPTH} levels") from None
    if root is None:
        return Scalar("", place, is_null=True)
    return _Conversion(lambda _line: place).node(root)


def describe(node: Node) -> str:
    """What was found, for a message."""
    match node:
        case Scalar(is_null=True):
            return "nothing"
        case Scalar(text=text):
            return f"`{text if len(text) <= 60 else text[:57] + '...'}`"
        case Items():
            return "a list"
        case Mapping():
            return "a mapping"


class _Conversion:
    """From PyYAML's nodes to ours, within bounds."""

    def __init__(self, place_of: Callable[[int], Place]) -> None:
        self._place_of = place_of
        self._count = 0

    def node(self, node: yaml.Node, depth: int = 0) -> Node:
        place = self._place_of(node.start_mark.line)
        self._count += 1
        if self._count > MAX_NODES:
            raise ConfigError(f"{place}: more than {MAX_NODES} values, aliases followed")
        if depth > MAX_DEPTH:
            raise ConfigError(f"{place}: nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, yaml.ScalarNode):
            return Scalar(node.value, place, is_null=node.tag == "tag:yaml.org,2002:null")
        if isinstance(node, yaml.SequenceNode):
            return Items(tuple(self.node(item, depth + 1) for item in node.value), place)
        return Mapping(tuple(self._pairs(node, depth).values()), place)

    def _pairs(self, node: yaml.Node, depth: int) -> dict[str, tuple[Scalar, Node]]:
        pairs: dict[str, tuple[Scalar, Node]] = {}
        for key_node, value_node in node.value:
            key = self.node(key_node, depth + 1)
            if not isinstance(key, Scalar):
                raise ConfigError(f"{key.place}: a key must be plain text, found {describe(key)}")
            if key.text in pairs:
                raise ConfigError(f"{key.place}: `{key.text}` is written twice (first at {pairs[key.text][0].place})")
            pairs[key.text] = (key, self.node(value_node, depth + 1))
        return pairs


def _syntax_text(error: yaml.YAMLError, filename: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{filename}:{error.problem_mark.line + 1}: not valid YAML: {_problem(error)}"
    return f"{filename}: not valid YAML: {_problem(error)}"


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return " ".join(part for part in (error.context, error.problem) if part)
    return str(error).splitlines()[0]


_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}]*)|:?=([^}]*))?\}|\$([A-Za-z_][A-Za-z0-9_]*)")


def expand_environment(text: str, variables: dict[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}` and `$NAME` replaced as Loki's `-config.expand-env=true` does; `$$` is `$`.

    Source: grafana.com/docs/loki/latest/configure/#use-environment-variables-in-the-configuration
    """

    def value_of(found: re.Match[str]) -> str:
        if found.group(0) == "$$":
            return "$"
        name = found.group(1) or found.group(4)
        return variables.get(name) or found.group(2) or found.group(3) or ""

    return _VARIABLE.sub(value_of, text)
