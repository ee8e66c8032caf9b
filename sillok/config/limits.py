"""The limits of a tenant under Loki's own names: `limits.*` in `sillok.yaml`, `limits_config.*` in Loki's file.

Source: https://grafana.com/docs/loki/latest/configure/#limits_config
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sillok.config.document import Mapping as MappingNode
from sillok.config.document import Node, Scalar, describe
from sillok.config.kinds import (
    BOOL,
    BYTES,
    DURATION,
    NUMBER,
    TEXT,
    TEXTS,
    Kind,
    Unfit,
    mapping_from_text,
    quote,
    records,
    whole,
)
from sillok.errors import BadRequest
from sillok.model.limits import Limits, StreamRetention
from sillok.model.tenant import check_tenant

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: Loki's name, the field of `Limits` it fills, its kind and meaning."""

    name: str
    attribute: str
    kind: Kind
    doc: str


def _build_retention(given: Mapping[str, Any]) -> StreamRetention:
    for name in ("selector", "period"):
        if name not in given:
            raise Unfit(f"`{name}` is missing")
    _check_retention(given["period"])
    return StreamRetention(given["selector"], given.get("priority", 0), given["period"])


def _unbuild_retention(retention: StreamRetention) -> Mapping[str, Any]:
    return {"selector": retention.selector, "priority": retention.priority, "period": retention.period_ns}


def _check_retention(period_ns: int) -> None:
    if 0 < period_ns < DAY_NS:
        raise Unfit("expected at least 24h, as in Loki, or 0s to keep for ever")


def _parse_retention_period(node: Node) -> int:
    period_ns: int = DURATION.parse(node)
    _check_retention(period_ns)
    return period_ns


_RETENTION_PERIOD = dataclasses.replace(DURATION, parse=_parse_retention_period)
_RETENTION_STREAM = records(
    {"selector": TEXT, "priority": whole(), "period": DURATION}, _build_retention, _unbuild_retention
)

LIMITS: tuple[Limit, ...] = (
    Limit("ingestion_rate_mb", "ingestion_rate_mb", NUMBER, "Megabytes a second a tenant may push; 0: no limit."),
    Limit(
        "ingestion_burst_size_mb",
        "ingestion_burst_size_mb",
        NUMBER,
        "Megabytes a tenant may push at once beyond `ingestion_rate_mb`.",
    ),
    Limit(
        "max_global_streams_per_user",
        "max_global_streams_per_user",
        whole(),
        "Streams a tenant may have; 0: no limit.",
    ),
    Limit("max_line_size", "max_line_size_bytes", BYTES, "Longest line; longer ones are refused. 0: no limit."),
    Limit(
        "max_line_size_truncate",
        "max_line_size_truncate",
        BOOL,
        "Cut lines that are longer than `max_line_size` instead of refusing them.",
    ),
    Limit("max_label_name_length", "max_label_name_length", whole(), "Longest name of a label, in bytes."),
    Limit("max_label_value_length", "max_label_value_length", whole(), "Longest value of a label, in bytes."),
    Limit("max_label_names_per_series", "max_label_names_per_series", whole(), "Most labels of one stream."),
    Limit("allow_structured_metadata", "allow_structured_metadata", BOOL, "Take structured metadata."),
    Limit(
        "max_structured_metadata_size",
        "max_structured_metadata_size_bytes",
        BYTES,
        "Most bytes of structured metadata of one entry; 0: no limit.",
    ),
    Limit(
        "max_structured_metadata_entries_count",
        "max_structured_metadata_entries_count",
        whole(),
        "Most pairs of structured metadata of one entry; 0: no limit.",
    ),
    Limit(
        "reject_old_samples",
        "reject_old_samples",
        BOOL,
        "Refuse lines older than `reject_old_samples_max_age`. Loki's default is true; here late lines are kept.",
    ),
    Limit(
        "reject_old_samples_max_age",
        "reject_old_samples_max_age_ns",
        DURATION,
        "How old a line may be while `reject_old_samples` is on.",
    ),
    Limit(
        "creation_grace_period", "creation_grace_period_ns", DURATION, "How far in the future a line's time may lie."
    ),
    Limit(
        "discover_service_name",
        "discover_service_name",
        TEXTS,
        "Labels that may become the label `service_name`, the first one found; an empty list turns it off.",
    ),
    Limit(
        "discover_log_levels", "discover_log_levels", BOOL, "Find each line's level and keep it as `detected_level`."
    ),
    Limit("log_level_fields", "log_level_fields", TEXTS, "Fields of a line that may hold its level."),
    Limit(
        "retention_period",
        "retention_period_ns",
        _RETENTION_PERIOD,
        "How long lines are kept: whole days (UTC) are dropped once they are older. 0s: for ever. "
        "Loki's default is for ever.",
    ),
    Limit(
        "retention_stream",
        "retention_stream",
        _RETENTION_STREAM,
        "Other periods for streams that match a selector; the highest priority wins.",
    ),
    Limit(
        "max_entries_limit_per_query",
        "max_entries_limit_per_query",
        whole(),
        "Most lines one query gives; 0: no limit.",
    ),
    Limit("max_query_length", "max_query_length_ns", DURATION, "Longest time range of a query; 0s: no limit."),
    Limit("max_query_lookback", "max_query_lookback_ns", DURATION, "How far back queries may look; 0s: no limit."),
    Limit("max_query_series", "max_query_series", whole(), "Most series a metric query gives; 0: no limit."),
    Limit("query_timeout", "query_timeout_ns", DURATION, "Longest time a query may run."),
    Limit("max_query_bytes_read", "max_query_bytes_read", BYTES, "Most bytes a query may read; 0: no limit."),
    Limit(
        "max_concurrent_tail_requests", "max_concurrent_tail_requests", whole(), "Live tails a tenant may have open."
    ),
    Limit("volume_enabled", "volume_enabled", BOOL, "Answer the volume endpoints."),
    Limit("volume_max_series", "volume_max_series", whole(), "Most series of a volume answer."),
)
BY_NAME: Mapping[str, Limit] = {limit.name: limit for limit in LIMITS}


def limits_from(values: Mapping[str, Any], start: Limits | None = None) -> Limits:
    """`start` with the limits in `values` (by Loki's names) replaced."""
    return dataclasses.replace(start or Limits(), **{BY_NAME[name].attribute: value for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class Override:
    """The limits that are different for one tenant, by Loki's names."""

    tenant: str
    values: tuple[tuple[str, Any], ...]


def _parse_overrides(node: Node) -> tuple[Override, ...]:
    if isinstance(node, Scalar) and (node.is_null or not node.text.strip()):
        return ()
    if not isinstance(node, MappingNode):
        raise Unfit(f"expected tenants with their limits, found {describe(node)}", node.place)
    return tuple(_parse_override(tenant, limits) for tenant, limits in node.pairs)


def _parse_override(tenant: Scalar, node: Node) -> Override:
    try:
        check_tenant(tenant.text)
    except BadRequest as error:
        raise Unfit(str(error), tenant.place) from None
    if not isinstance(node, MappingNode):
        raise Unfit(f"expected limits of tenant `{tenant.text}`, found {describe(node)}", node.place)
    values: list[tuple[str, Any]] = []
    for name, value in node.pairs:
        if name.text not in BY_NAME:
            raise Unfit(f"`{name.text}` is not a limit", name.place)
        values.append((name.text, BY_NAME[name.text].kind.parse(value)))
    return Override(tenant.text, tuple(values))


def _show_overrides(overrides: tuple[Override, ...]) -> str:
    shown = (
        f"{quote(override.tenant)}: {{"
        + ", ".join(f"{name}: {BY_NAME[name].kind.show(value)}" for name, value in override.values)
        + "}"
        for override in overrides
    )
    return "{" + ", ".join(shown) + "}"


OVERRIDES = Kind("tenant: {limit: value} pairs", _parse_overrides, _show_overrides, mapping_from_text)
