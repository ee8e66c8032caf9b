"""Names of attributes and structured metadata in the form of a Prometheus label name.

Source:  prometheus/otlptranslator `LabelNamer.Build`, as Loki uses it
Differs: Loki answers 500 to a push with a name of which nothing but underscores would be left (`日本`, `%`),
         and loses its lines. Such a name stays as it is here; an empty one becomes `_`.
"""

from __future__ import annotations

import re

_OTHERS = re.compile(r"[^a-zA-Z0-9]+")
_RESERVED = re.compile(r"__(.+)__\Z", re.DOTALL)


def label_name(name: str) -> str:
    """`k8s.pod-name` → `k8s_pod_name`; runs of other characters become one underscore."""
    reserved = _RESERVED.match(name)
    plain = f"__{_OTHERS.sub('_', reserved[1])}__" if reserved else _OTHERS.sub("_", name)
    if not plain.strip("_"):
        return name or "_"
    return f"key_{plain}" if plain[0].isdigit() else plain
