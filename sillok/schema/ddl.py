"""The tables, as versioned steps, and how they differ between one machine and a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from sillok.schema import tables
from sillok.schema.logs import BUCKET_NS, DAY_NS
from sillok.sql.statement import Statement


@dataclass(frozen=True, slots=True)
class Step:
    """One version of the schema: what to run to come from the version before."""

    version: int
    statements: tuple[Statement, ...]


# A success means "on disk": inserted parts, their directories and merged parts are fsynced.
# A flipped byte costs time that grows with the square of the compressed block, so blocks are small.
_DURABLE = """
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 65536"""

_LOGS = f"""
CREATE TABLE IF NOT EXISTS {tables.LOGS}
(
    `tenant` LowCardinality(String),
    `sid` UInt64 CODEC(ZSTD(1)),
    `ts` Int64 CODEC(Delta, T64('bit'), ZSTD(1)),
    `line` String CODEC(ZSTD(1)),
    `meta` Map(String, String) CODEC(ZSTD(1)),
    `level` LowCardinality(String),
    `batch` FixedString(16) CODEC(ZSTD(1)),
    `offset` UInt64 CODEC(Delta, ZSTD(1)),
    `recv` Int64 CODEC(Delta, ZSTD(1)),
    INDEX meta_values mapValues(meta) TYPE bloom_filter GRANULARITY 1,
    INDEX recv_range recv TYPE minmax GRANULARITY 8,
    INDEX batch_ids batch TYPE bloom_filter GRANULARITY 8
)
ENGINE = MergeTree
PARTITION BY intDiv(ts - positiveModulo(ts, {DAY_NS}), {DAY_NS})
ORDER BY (tenant, intDiv(ts, {BUCKET_NS}), sid, ts)
SETTINGS index_granularity = 1024,{_DURABLE}
"""

_STREAMS = f"""
CREATE TABLE IF NOT EXISTS {tables.STREAMS}
(
    `tenant` LowCardinality(String),
    `sid` UInt64,
    `labels` Map(String, String) CODEC(ZSTD(1)),
    `seen` DateTime64(3) DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, sid)
SETTINGS index_granularity = 8192,{_DURABLE}
"""

STEPS = (Step(1, (Statement(_LOGS, is_housekeeping=True), Statement(_STREAMS, is_housekeeping=True))),)

VERSIONS = (
    Statement(f"CREATE DATABASE IF NOT EXISTS {tables.DATABASE}"),
    Statement(
        f"""
CREATE TABLE IF NOT EXISTS {tables.VERSIONS}
(
    `version` UInt32,
    `applied` DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY version
SETTINGS index_granularity = 8192,{_DURABLE}
"""
    ),
)
