"""What one tenant may send, store and ask: Loki's names, Loki's defaults unless said otherwise.

Source: https://grafana.com/docs/loki/latest/configure/#limits_config
"""

from __future__ import annotations

from dataclasses import dataclass, field

HOUR_NS = 3_600_000_000_000

SERVICE_NAME_LABELS = (
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
)
LOG_LEVEL_FIELDS = (
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
)


@dataclass(frozen=True, slots=True)
class StreamRetention:
    """Streams that match `selector` are kept for `period_ns`; of several, the highest priority wins."""

    selector: str
    priority: int
    period_ns: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Field names are Loki's `limits_config` keys, with the unit added where Loki's has none.

    0 means "no limit" wherever Loki says so.
    """

    # Pushes. Rate and stream-count limits exist but are off by default (Loki: 4 MB/s, 5,000 streams).
    ingestion_rate_mb: float = 0.0
    ingestion_burst_size_mb: float = 6.0
    max_global_streams_per_user: int = 0
    max_line_size_bytes: int = 256 * 1024
    max_line_size_truncate: bool = False
    max_label_name_length: int = 1024
    max_label_value_length: int = 2048
    max_label_names_per_series: int = 15
    max_structured_metadata_size_bytes: int = 64 * 1024
    max_structured_metadata_entries_count: int = 128
    allow_structured_metadata: bool = True
    # Loki refuses lines older than a week by default; late lines are kept here (T-07).
    reject_old_samples: bool = False
    reject_old_samples_max_age_ns: int = 168 * HOUR_NS
    creation_grace_period_ns: int = 10 * 60 * 1_000_000_000
    discover_service_name: tuple[str, ...] = SERVICE_NAME_LABELS
    discover_log_levels: bool = True
    log_level_fields: tuple[str, ...] = LOG_LEVEL_FIELDS

    # Retention. Loki keeps for ever by default; the users asked for two weeks (T-07).
    retention_period_ns: int = 336 * HOUR_NS
    retention_stream: tuple[StreamRetention, ...] = field(default=())

    # Queries.
    max_entries_limit_per_query: int = 5000
    max_query_length_ns: int = 721 * HOUR_NS
    max_query_lookback_ns: int = 0
    max_query_series: int = 500
    query_timeout_ns: int = 60 * 1_000_000_000
    max_query_bytes_read: int = 0
    max_concurrent_tail_requests: int = 10
    volume_enabled: bool = True
    volume_max_series: int = 1000
