"""Sillok's own metrics: every name, its unit and its meaning, in one registry.

A room that counts something declares it here, so that this page is the list. Names follow Prometheus'
conventions; `docs/reference/metrics.md` lists them and a test compares the two.
"""

from __future__ import annotations

import sys

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from sillok import __version__

REGISTRY = CollectorRegistry(auto_describe=True)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

disable_created_metrics()  # type: ignore[no-untyped-call]  # A second series for each counter, which says when it began: nobody here asks.
ProcessCollector(registry=REGISTRY)  # process_cpu_seconds_total, process_resident_memory_bytes, …


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


BUILD_INFO = Gauge("sillok_build_info", "1; the version is in the labels.", ["version", "python"], registry=REGISTRY)
BUILD_INFO.labels(__version__, ".".join(map(str, sys.version_info[:3]))).set(1)

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

QUERY_SECONDS = Histogram(
    "sillok_query_seconds", "Duration of a query, its wait for a thread included.", ["kind"], registry=REGISTRY
)
QUERY_FAILURES = Counter(
    "sillok_query_failures_total", "Queries without an answer, by the kind of error.", ["error"], registry=REGISTRY
)
QUERY_WAITING = Gauge("sillok_query_waiting", "Queries that wait for a thread or run.", registry=REGISTRY)
QUERY_ROW_WORKERS = Gauge("sillok_query_row_workers", "Processes that turn rows into answers.", registry=REGISTRY)
TAILS = Gauge("sillok_query_tails", "Tails that are open.", ["tenant"], registry=REGISTRY)
TAIL_DROPPED = Counter(
    "sillok_query_tail_dropped_lines_total",
    "Entries that a tail did not get because its client was too slow.",
    ["tenant"],
    registry=REGISTRY,
)

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

EXPIRED_LINES = Counter("sillok_store_expired_lines_total", "Lines that retention removed.", registry=REGISTRY)

AGENT_READ = Counter("sillok_agent_read_lines_total", "Lines read.", ["source"], registry=REGISTRY)
AGENT_STORED = Counter("sillok_agent_stored_lines_total", "Lines the store has.", ["source"], registry=REGISTRY)
AGENT_DROPPED = Counter(
    "sillok_agent_dropped_lines_total", "Lines the collector lost, by reason.", ["source", "reason"], registry=REGISTRY
)
AGENT_REFUSED = Counter(
    "sillok_agent_refused_lines_total", "Lines the store refused, by reason.", ["source", "reason"], registry=REGISTRY
)
AGENT_SPOOLED = Gauge("sillok_agent_spooled_lines", "Lines that wait in the spool.", ["source"], registry=REGISTRY)
AGENT_IN_FLIGHT = Gauge(
    "sillok_agent_in_flight_lines", "Lines in the open batch and in the one being sent.", ["source"], registry=REGISTRY
)
AGENT_SPOOL_BYTES = Gauge("sillok_agent_spool_bytes", "Disk that the spool takes.", registry=REGISTRY)
AGENT_SPOOL_MAX_BYTES = Gauge("sillok_agent_spool_max_bytes", "Disk that the spool may take.", registry=REGISTRY)
AGENT_SOURCES = Gauge("sillok_agent_sources", "Sources that are watched, by kind.", ["kind"], registry=REGISTRY)
AGENT_PAUSED = Gauge("sillok_agent_paused", "1 while the spool is full and sources wait.", registry=REGISTRY)
AGENT_BATCHES = Counter("sillok_agent_sent_batches_total", "Batches that got their answer.", registry=REGISTRY)
AGENT_RETRIES = Counter("sillok_agent_send_retries_total", "Tries to send that have to be repeated.", registry=REGISTRY)
