"""Which stream an entry belongs to: label text → checked label set → stream id.

The text of a stream's labels repeats from push to push, so the verdict on it is kept.

Source:  Loki pkg/loghttp/push/push.go (service name), pkg/distributor/validator.go `ValidateLabels`,
         pkg/validation/validate.go (reasons and texts)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sillok.errors import PushSyntaxError
from sillok.ingest.levels import level_of_labels
from sillok.model.labels import LabelSet, format_labels, is_label_name, label_set, stream_id
from sillok.model.limits import Limits
from sillok.wire.loki_labels import parse_labels

SERVICE_NAME = "service_name"
UNKNOWN_SERVICE = "unknown_service"

MAX_VERDICTS = 20_000  # of one tenant: about 10 MB; then all are forgotten and judged again


@dataclass(frozen=True, slots=True)
class Admitted:
    """A stream that may be written. `level` is what its labels say about the level of its lines, or ''."""

    sid: int
    labels: LabelSet
    level: str

    @property
    def text(self) -> str:
        return format_labels(self.labels)


@dataclass(frozen=True, slots=True)
class Barred:
    """A stream that may not be written, and Loki's reason and text for it."""

    reason: str
    message: str


Verdict: TypeAlias = Admitted | Barred


class StreamJudge:
    """Verdicts on the streams of one tenant under one set of limits; may be asked from several threads at once."""

    def __init__(self, tenant: str, limits: Limits) -> None:
        self._tenant = tenant
        self.limits = limits
        self._verdicts: dict[str | LabelSet, Verdict] = {}

    def judge(self, labels: str | LabelSet) -> Verdict:
        verdict = self._verdicts.get(labels)
        if verdict is None:
            if len(self._verdicts) >= MAX_VERDICTS:
                self._verdicts.clear()
            verdict = self._verdicts[labels] = self._judged(labels)
        return verdict

    def _judged(self, labels: str | LabelSet) -> Verdict:
        try:
            pairs = parse_labels(labels) if isinstance(labels, str) else _checked(labels)
        except PushSyntaxError as error:
            return Barred("invalid_labels", f"couldn't parse labels: {error}")
        named = with_service_name(pairs, self.limits.discover_service_name)
        barred = self._barred(sorted((name, value) for name, value in named if value))
        if barred is not None:
            return barred
        checked = label_set(named)
        return Admitted(stream_id(self._tenant, checked), checked, level_of_labels(checked, self.limits))

    def _barred(self, pairs: list[tuple[str, str]]) -> Barred | None:
        limits = self.limits
        if not pairs:
            return Barred("missing_labels", "error at least one label pair is required per stream")
        text = format_labels(tuple(pairs))
        count = len(pairs) - any(name == SERVICE_NAME for name, _ in pairs)
        if count > limits.max_label_names_per_series:
            return Barred(
                "max_label_names_per_series",
                f"entry for stream '{text}' has {count} label names; limit {limits.max_label_names_per_series}",
            )
        last = ""
        for name, value in pairs:
            if len(name.encode()) > limits.max_label_name_length:
                return Barred("label_name_too_long", f"stream '{text}' has label name too long: '{name}'")
            if len(value.encode()) > limits.max_label_value_length:
                return Barred("label_value_too_long", f"stream '{text}' has label value too long: '{value}'")
            if name == last:
                return Barred("duplicate_label_names", f"stream '{text}' has duplicate label name: '{name}'")
            last = name
        return None


def _checked(labels: LabelSet) -> Sequence[tuple[str, str]]:
    """Pairs that came as pairs (JSON, OTLP). Loki writes them as text and reads that, which finds bad names.

    Raises:
        PushSyntaxError: a name cannot be one; Loki's words.
    """
    if all(is_label_name(name) for name, _ in labels):
        return labels
    return parse_labels(format_labels(labels))


def with_service_name(pairs: Sequence[tuple[str, str]], candidates: Sequence[str]) -> Sequence[tuple[str, str]]:
    """`pairs` with the label `service_name`, taken from the first of `candidates` that is there."""
    present = {name: value for name, value in pairs if value}
    if not candidates or SERVICE_NAME in present:
        return pairs
    service = next((present[name] for name in candidates if name in present), UNKNOWN_SERVICE)
    return [*pairs, (SERVICE_NAME, service)]
