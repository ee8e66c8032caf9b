"""How a value is written in a configuration, and what it becomes: one kind, one pair of functions.

A kind's `parse` takes a node and returns the value, or raises `Unfit` with a text that completes the
sentence "`limits.max_line_size`: …". `show` writes a value as a person would.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from sillok.config.document import Items, Node, Place, Scalar, describe, read_value
from sillok.config.document import Mapping as MappingNode
from sillok.text import duration


class Unfit(Exception):
    """A value does not fit its key; `place` when it is known more exactly than the key's own."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is what the reference page calls it. Values differ by kind; `keys.py` gives them their types."""

    name: str
    parse: Callable[[Node], Any]
    show: Callable[[Any], str]
    from_text: Callable[[str, Place], Node]


def scalar_from_text(text: str, place: Place) -> Node:
    return Scalar(text, place)


def list_from_text(text: str, place: Place) -> Node:
    """`[a, b]` or, shorter, `a,b`."""
    # Both ends: `[::1]:3100` is an address.
    if text.lstrip().startswith("[") and text.rstrip().endswith("]"):
        return read_value(text, place)
    return Items(tuple(Scalar(part.strip(), place) for part in text.split(",") if part.strip()), place)


def mapping_from_text(text: str, place: Place) -> Node:
    """`{a: x, b: y}` or, shorter, `a=x,b=y`."""
    if text.lstrip().startswith("{"):
        return read_value(text, place)
    pairs: list[tuple[Scalar, Node]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise Unfit(f"expected name=value, found `{part}`")
        pairs.append((Scalar(name.strip(), place), Scalar(value.strip(), place)))
    return MappingNode(tuple(pairs), place)


def text_of(node: Node) -> str:
    if not isinstance(node, Scalar):
        raise Unfit(f"expected one value, found {describe(node)}", node.place)
    return "" if node.is_null else node.text


def _filled(node: Node, expected: str) -> str:
    text = text_of(node).strip()
    if not text:
        raise Unfit(f"expected {expected}, found nothing", node.place)
    return text


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _parse_bool(node: Node) -> bool:
    text = _filled(node, "true or false")
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise Unfit(f"expected true or false, found `{text}`", node.place) from None


def _parse_number(node: Node) -> float:
    text = _filled(node, "a number")
    try:
        number = float(text)
    except ValueError:
        raise Unfit(f"expected a number, found `{text}`", node.place) from None
    if not 0 <= number < float("inf"):
        raise Unfit(f"expected a number from 0 up, found `{text}`", node.place)
    return number


def whole(*, at_least: int = 0, at_most: int = 2**63 - 1) -> Kind:
    """A whole number within bounds."""

    def parse(node: Node) -> int:
        text = _filled(node, "a whole number")
        if not re.fullmatch(r"-?\d+", text):
            raise Unfit(f"expected a whole number, found `{text}`", node.place)
        if not at_least <= int(text) <= at_most:
            bounds = f"from {at_least} up" if at_most == 2**63 - 1 else f"from {at_least} to {at_most}"
            raise Unfit(f"expected a whole number {bounds}, found `{text}`", node.place)
        return int(text)

    return Kind("number", parse, str, scalar_from_text)


_SHOWN_UNITS = (
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
)


def parse_duration_ns(text: str) -> int:
    """`336h`, `1h30m`, `14d`, `0`: Prometheus' and Go's forms, in nanoseconds.

    Raises:
        Unfit: it is not a duration.
    """
    try:
        duration_ns = duration.parse(text)
    except duration.DurationError:
        raise Unfit(f"expected a duration such as 30s, 15m, 336h or 14d, found `{text}`") from None
    if duration_ns < 0:
        raise Unfit(f"expected a duration from 0 up, found `{text}`")
    return duration_ns


def show_duration(duration_ns: int) -> str:
    """Without zeros, and in hours however many: `336h`, `1m30s`. Exact."""
    if duration_ns == 0:
        return "0s"
    written = ""
    for unit, unit_ns in _SHOWN_UNITS:
        count, duration_ns = divmod(duration_ns, unit_ns)
        written += f"{count}{unit}" if count else ""
    return written


def _parse_duration(node: Node) -> int:
    text = _filled(node, "a duration such as 30s, 15m or 336h")
    try:
        return parse_duration_ns(text)
    except Unfit as unfit:
        raise Unfit(str(unfit), node.place) from None


_BYTE_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)


def _parse_bytes(node: Node) -> int:
    # 1 KB is 1024 bytes, as in Loki's own configuration (c2h5oh/datasize). LogQL's sizes (`text.bytesize`) differ.
    text = _filled(node, "a size such as 256KB or 1GB")
    found = _BYTES.fullmatch(text)
    if not found:
        raise Unfit(f"expected a size such as 256KB, 10MB or 1GB, found `{text}`", node.place)
    size = int(Fraction(found.group(1)) * _BYTE_UNITS[found.group(2).lower()])
    if size >= 2**63:
        raise Unfit(f"`{text}` is more bytes than a file system holds", node.place)
    return size


def show_bytes(size: int) -> str:
    for unit, factor in (("TB", 2**40), ("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _show_bool(value: bool) -> str:
    return "true" if value else "false"


def _show_number(value: float) -> str:
    return f"{value:g}"


def quote(text: str) -> str:
    """`text` as a YAML value: plain where that is safe, in double quotes otherwise."""
    if re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./@+*-]*", text) and text.lower() not in ("null", "true", "false"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


TEXT = Kind("text", text_of, quote, scalar_from_text)
BOOL = Kind("true or false", _parse_bool, _show_bool, scalar_from_text)
NUMBER = Kind("number", _parse_number, _show_number, scalar_from_text)
DURATION = Kind("duration", _parse_duration, show_duration, scalar_from_text)
BYTES = Kind("size", _parse_bytes, show_bytes, scalar_from_text)


def one_of(*choices: str) -> Kind:
    """One word of several."""

    def parse(node: Node) -> str:
        text = _filled(node, "one of " + ", ".join(choices))
        if text.lower() not in choices:
            raise Unfit(f"expected one of {', '.join(choices)}, found `{text}`", node.place)
        return text.lower()

    return Kind(", ".join(choices[:-1]) + " or " + choices[-1], parse, str, scalar_from_text)


def list_of(kind: Kind, name: str) -> Kind:
    """A list of values of one kind; a single value stands for a list of one."""

    def parse(node: Node) -> tuple[Any, ...]:
        if isinstance(node, Scalar):
            return () if node.is_null or not node.text.strip() else (kind.parse(node),)
        if isinstance(node, Items):
            return tuple(kind.parse(item) for item in node.nodes)
        raise Unfit(f"expected a list, found {describe(node)}", node.place)

    def show(values: Sequence[Any]) -> str:
        return "[" + ", ".join(kind.show(value) for value in values) + "]"

    return Kind(name, parse, show, list_from_text)


def _parse_pairs(node: Node) -> tuple[tuple[str, str], ...]:
    if isinstance(node, Scalar) and (node.is_null or not node.text.strip()):
        return ()
    if not isinstance(node, MappingNode):
        raise Unfit(f"expected `name: value` pairs, found {describe(node)}", node.place)
    return tuple((key.text, text_of(value)) for key, value in node.pairs)


def _show_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}: {quote(value)}" for name, value in pairs) + "}"


PAIRS = Kind("name: value pairs", _parse_pairs, _show_pairs, mapping_from_text)
TEXTS = list_of(TEXT, "list of texts")

Fields: TypeAlias = Mapping[str, Kind]


def records(
    fields: Fields, build: Callable[[Mapping[str, Any]], Any], unbuild: Callable[[Any], Mapping[str, Any]]
) -> Kind:
    """A list of mappings with known keys; `build` makes the value from the keys that were given."""

    def parse(node: Node) -> tuple[Any, ...]:
        if isinstance(node, Scalar) and (node.is_null or not node.text.strip()):
            return ()
        if not isinstance(node, Items):
            raise Unfit(f"expected a list of mappings with {', '.join(fields)}, found {describe(node)}", node.place)
        return tuple(parse_record(item) for item in node.nodes)

    def parse_record(node: Node) -> Any:
        if not isinstance(node, MappingNode):
            raise Unfit(f"expected a mapping with {', '.join(fields)}, found {describe(node)}", node.place)
        given: dict[str, Any] = {}
        for key, value in node.pairs:
            if key.text not in fields:
                raise Unfit(f"`{key.text}` is not one of its keys: {', '.join(fields)}", key.place)
            given[key.text] = fields[key.text].parse(value)
        try:
            return build(given)
        except Unfit as unfit:
            raise Unfit(str(unfit), unfit.place or node.place) from None

    def show(values: Sequence[Any]) -> str:
        shown = (unbuild(value) for value in values)
        texts = (", ".join(f"{name}: {fields[name].show(value)}" for name, value in record.items()) for record in shown)
        return "[" + ", ".join("{" + text + "}" for text in texts) + "]"

    return Kind(f"list of {{{', '.join(fields)}}}", parse, show, read_value)
