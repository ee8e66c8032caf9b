"""Sillok's own metrics: every name, its unit and its meaning, in one registry.

A room that counts something declares it here, so that this page is the list. Names follow Prometheus'
conventions; `docs/reference/metrics.md` lists them and a test compares the two.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

REGISTRY = CollectorRegistry(auto_describe=True)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


INGEST_LINES = Counter("sillok_ingest_lines_total", "Entries stored.", ["tenant"], registry=REGISTRY)
INGEST_BYTES = Counter("sillok_ingest_bytes_total", "Bytes of the lines stored.", ["tenant"], registry=REGISTRY)
INGEST_REFUSED = Counter(
    "sillok_ingest_refused_lines_total",
    "Entries refused, by Loki's reason name.",
    ["tenant", "reason"],
    registry=REGISTRY,
)
INGEST_DUPLICATES = Counter(
    "sillok_ingest_duplicate_lines_total",
    "Entries not stored again: their batch had them already.",
    ["tenant"],
    registry=REGISTRY,
)
INGEST_BATCHES = Counter(
    "sillok_ingest_batches_total",
    "Pushes received, by who named their batch: the sender, or the server from the body.",
    ["named_by"],
    registry=REGISTRY,
)
COMMITS = Counter("sillok_ingest_commits_total", "Group commits.", registry=REGISTRY)
COMMIT_SECONDS = Histogram("sillok_ingest_commit_seconds", "Duration of a group commit.", registry=REGISTRY)
COMMIT_QUEUE_BYTES = Gauge("sillok_ingest_queue_bytes", "Bytes of pushes that wait for a commit.", registry=REGISTRY)

HTTP_SECONDS = Histogram(
    "sillok_http_request_seconds", "Duration of a request.", ["route", "status"], registry=REGISTRY
)
HTTP_CONNECTIONS = Gauge("sillok_http_connections", "Connections that are open.", registry=REGISTRY)
HTTP_WEBSOCKETS = Gauge("sillok_http_websockets", "WebSockets that are open.", registry=REGISTRY)
HTTP_CLOSED = Counter(
    "sillok_http_connections_closed_total",
    "Connections that the server ended, by reason.",
    ["reason"],
    registry=REGISTRY,
)
