"""How much each series of labels holds: `index/volume`.

Source: Loki pkg/logproto/compat.go, pkg/storage/stores/index/seriesvolume
Differs: volume is the bytes of the lines; Loki counts structured metadata too, and knows whole chunks only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sillok.logql import ast
from sillok.model.labels import LabelSet, format_labels


def volumes_by_series(
    sizes: Iterable[tuple[LabelSet, int]], selector: ast.Selector, target_labels: Sequence[str]
) -> dict[LabelSet, int]:
    """Bytes by the labels that were asked for: the targets, else those the selector names, else all of them."""
    names = set(target_labels or (matcher.name for matcher in selector.matchers))
    volumes: dict[LabelSet, int] = {}
    for labels, size in sizes:
        if not _has_all(labels, target_labels):
            continue
        kept = tuple(pair for pair in labels if not names or pair[0] in names)
        volumes[kept] = volumes.get(kept, 0) + size
    return volumes


def volumes_by_label(sizes: Iterable[tuple[LabelSet, int]], target_labels: Sequence[str]) -> dict[LabelSet, int]:
    """Bytes by label name; the name stands with an empty value, as in Loki."""
    volumes: dict[LabelSet, int] = {}
    for labels, size in sizes:
        if not _has_all(labels, target_labels):
            continue
        for name, _ in labels:
            if not target_labels or name in target_labels:
                volumes[((name, ""),)] = volumes.get(((name, ""),), 0) + size
    return volumes


def largest(volumes: Mapping[LabelSet, int], limit: int) -> list[tuple[LabelSet, int]]:
    """Largest first, then by name."""
    ordered = sorted(volumes.items(), key=lambda item: (-item[1], format_labels(item[0])))
    return ordered[:limit]


def _has_all(labels: LabelSet, names: Sequence[str]) -> bool:
    return all(name in dict(labels) for name in names)
