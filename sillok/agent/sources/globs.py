"""Finding files by glob: `*`, `?`, `[…]` within a folder, `**` through folders, `{a,b}`.

Source:  bmatcuk/doublestar, as promtail uses it
Differs: hidden folders are not gone through by `**`; links to folders are not followed by `**`, so that
    a circle of links ends. A link to a file is followed.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator

MAX_FILES = 20_000  # Per source: beyond it the glob is a mistake, not a wish.
MAX_DEPTH = 32

_MAGIC = re.compile(r"[*?\[]")


class Glob:
    """One pattern. Reading folders that are forbidden is not an error here: `denied` is told."""

    def __init__(self, pattern: str) -> None:
        self.pattern = os.path.abspath(os.path.expanduser(pattern))  # noqa: PTH100, PTH111 - text, not a file
        self._branches = [tuple(part for part in branch.split("/") if part) for branch in _expand_braces(self.pattern)]

    def files(self, denied: Callable[[str, OSError], None]) -> Iterator[str]:
        """Paths of the files there are now. A path may come twice when branches overlap."""
        for branch in self._branches:
            yield from _walk("/", branch, 0, denied)

    def matches(self, path: str) -> bool:
        parts = tuple(part for part in path.split("/") if part)
        return any(_matches(parts, branch) for branch in self._branches)


def _walk(folder: str, parts: tuple[str, ...], depth: int, denied: Callable[[str, OSError], None]) -> Iterator[str]:
    if not parts or depth > MAX_DEPTH:
        return
    part, rest = parts[0], parts[1:]
    if not _MAGIC.search(part):
        path = os.path.join(folder, part)  # noqa: PTH118 - a hot path of plain text
        if rest:
            yield from _walk(path, rest, depth, denied)
        elif os.path.isfile(path):  # noqa: PTH113
            yield path
        return
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        denied(folder, error)
        return
    if part == "**":
        yield from _walk(folder, rest or ("*",), depth, denied)
        for entry in entries:
            if not entry.name.startswith(".") and _is_folder(entry, follow=False):
                yield from _walk(entry.path, parts, depth + 1, denied)
        return
    for entry in entries:
        if not _name_matches(entry.name, part):
            continue
        if rest:
            if _is_folder(entry, follow=True):
                yield from _walk(entry.path, rest, depth + 1, denied)
        elif _is_file(entry):
            yield entry.path


def _matches(path: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not parts:
        return not path
    if parts[0] == "**":
        rest = parts[1:] or ("*",)
        return any(_matches(path[at:], rest) for at in range(len(path)))
    return bool(path) and _name_matches(path[0], parts[0]) and _matches(path[1:], parts[1:])


def _name_matches(name: str, pattern: str) -> bool:
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return fnmatch.fnmatchcase(name, pattern)


def _is_folder(entry: os.DirEntry[str], *, follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _expand_braces(pattern: str) -> list[str]:
    """`a{b,c}d` → `abd`, `acd`; unbalanced braces are plain characters."""
    start = pattern.find("{")
    depth = 0
    commas: list[int] = []
    for at in range(start, len(pattern)) if start >= 0 else ():
        character = pattern[at]
        if character == "{":
            depth += 1
        elif character == "," and depth == 1:
            commas.append(at)
        elif character == "}":
            depth -= 1
            if depth == 0:
                edges = [start, *commas, at]
                choices = [pattern[edges[i] + 1 : edges[i + 1]] for i in range(len(edges) - 1)]
                head, tail = pattern[:start], pattern[at + 1 :]
                return [expanded for choice in choices for expanded in _expand_braces(head + choice + tail)]
    return [pattern]
