"""The labels of what is read: `service`, `level`, `host`, `job`, `filename`, `container` (T-02)."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from sillok.model.labels import LabelSet, format_labels, label_set

_LOG_FOLDERS = frozenset({"log", "logs"})
_COMPRESSED = re.compile(r"\.(?:gz|bz2|xz|zst)\Z")
_ROTATED = re.compile(r"[._-]\d[\d_.T:-]*\Z")
_ENDINGS = re.compile(r"\.(?:log|txt|json|jsonl|out|err)\Z")


def service_of_path(path: str) -> str:
    """The service that a path names.

    The first folder below the innermost `log` or `logs` (`logs/vllm/x.log` → `vllm`); a file right in
    such a folder is its own service (`/var/log/dpkg.log` → `dpkg`); without such a folder, the folder
    the file is in.
    """
    file = PurePosixPath(path)
    folders = file.parent.parts
    for at in range(len(folders) - 1, -1, -1):
        if folders[at] in _LOG_FOLDERS:
            return folders[at + 1] if at + 1 < len(folders) else stem(file.name)
    return file.parent.name or stem(file.name)


def stem(name: str) -> str:
    """A file's name without endings, numbers and dates of rotation: `app-2026-11-21.log.gz` → `app`.

    A label must not grow a new value a day.
    """
    name = _COMPRESSED.sub("", name)
    for _ in range(2):
        name = _ROTATED.sub("", name) or name
        name = _ENDINGS.sub("", name) or name
    return name


class StreamLabels:
    """The label text of a source's streams: one a level, made once."""

    def __init__(self, found: dict[str, str], added: LabelSet) -> None:
        self._labels = {**found, **dict(added)}
        self._texts: dict[str | None, str] = {}

    def renamed(self, container: str) -> StreamLabels:
        """The same for a container that has another name now. A service that was called like it goes along."""
        labels = {**self._labels, "container": container}
        if self._labels.get("service") == self._labels.get("container"):
            labels["service"] = container
        return StreamLabels(labels, ())

    def text(self, level: str | None) -> str:
        known = self._texts.get(level)
        if known is None:
            labels = self._labels if level is None else {"level": level, **self._labels}
            known = self._texts[level] = format_labels(label_set(labels))
        return known
