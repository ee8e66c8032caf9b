"""The tables, as versioned steps, and how they differ between one machine and a cluster.

On a cluster the logs are sharded: `logs` is a Distributed table over `logs_local`, one replicated table a
shard. The small tables are the same on every machine of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sillok.schema import tables
from sillok.schema.logs import BUCKET_NS, DAY_NS
from sillok.sql.statement import Statement

_CLUSTER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the tables live: on one machine (`cluster` is None), or on the ClickHouse cluster of that name."""

    cluster: str | None = None

    def __post_init__(self) -> None:
        if self.cluster is not None and not _CLUSTER.match(self.cluster):
            raise ValueError(f"{self.cluster!r} cannot be the name of a cluster")

    @property
    def logs(self) -> str:
        """The table that holds the parts of the logs."""
        return tables.LOGS if self.cluster is None else f"{tables.LOGS}_local"

    @property
    def everywhere(self) -> str:
        """What makes a statement run on all machines."""
        return "" if self.cluster is None else f" ON CLUSTER {self.cluster}"

    def engine(self, kind: str, table: str, *, is_sharded: bool = False) -> str:
        """The table engine: `kind` on one machine, its replicated form on a cluster."""
        if self.cluster is None:
            return kind
        shard = "{shard}/" if is_sharded else ""
        return f"Replicated{kind}('/clickhouse/tables/{shard}{table}', '{{replica}}')"


ONE_MACHINE = Placement()


@dataclass(frozen=True, slots=True)
class Step:
    """One version of the schema: what to run to come from the version before. Every statement may run twice."""

    version: int
    statements: tuple[Statement, ...]


# A success means "on disk": inserted parts, their directories and merged parts are fsynced.
# A flipped byte costs time that grows with the square of the compressed block (680 KB: minutes of a core that
# nothing can cancel), so blocks are small. In small parts a block is a granule, whatever its own bound says; hence
# the bound of granules.
_DURABLE = """
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 65536,
    index_granularity_bytes = 131072"""

# Most of the processor time of a load is merges. Waiting for more parts of a size before they are merged (the
# engine's default is 5) takes a quarter off that, for a few more parts.
_MERGES = """
    merge_selector_base = 10,"""


def steps(placement: Placement) -> tuple[Step, ...]:
    """All steps there are, oldest first. A step that was released is never changed: add one behind it."""
    made = (_logs(placement), *_distributed(placement), _streams(placement), _documents(placement))
    return (Step(1, tuple(_housekeeping(text) for text in made)),)


def before_steps(placement: Placement) -> tuple[Statement, ...]:
    """What must be there to know which steps were taken."""
    return (
        _housekeeping(f"CREATE DATABASE IF NOT EXISTS {tables.DATABASE}{placement.everywhere}"),
        _housekeeping(_versions(placement)),
    )


def keep_free(placement: Placement, min_free_bytes: int) -> tuple[Statement, ...]:
    """From now on the engine refuses rows for the logs while less than this is free on its disk."""
    setting = f"MODIFY SETTING min_free_disk_bytes_to_perform_insert = {int(min_free_bytes)}"
    names = (placement.logs, tables.STREAMS)
    return tuple(_housekeeping(f"ALTER TABLE {name}{placement.everywhere} {setting}") for name in names)


def _housekeeping(text: str) -> Statement:
    return Statement(text, is_housekeeping=True)


def _logs(placement: Placement) -> str:
    return f"""
CREATE TABLE IF NOT EXISTS {placement.logs}{placement.everywhere}
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
ENGINE = {placement.engine("MergeTree", tables.LOGS, is_sharded=True)}
PARTITION BY intDiv(ts - positiveModulo(ts, {DAY_NS}), {DAY_NS})
ORDER BY (tenant, intDiv(ts, {BUCKET_NS}), sid, ts)
SETTINGS index_granularity = 1024,{_MERGES}{_DURABLE}
"""


def _distributed(placement: Placement) -> tuple[str, ...]:
    if placement.cluster is None:
        return ()
    database, name = tables.LOGS.split(".")
    engine = f"Distributed({placement.cluster}, {database}, {name}_local, sid)"
    create = f"CREATE TABLE IF NOT EXISTS {tables.LOGS}{placement.everywhere}"
    return (f"{create} AS {placement.logs} ENGINE = {engine}",)


def _streams(placement: Placement) -> str:
    return f"""
CREATE TABLE IF NOT EXISTS {tables.STREAMS}{placement.everywhere}
(
    `tenant` LowCardinality(String),
    `sid` UInt64,
    `labels` Map(String, String) CODEC(ZSTD(1)),
    `seen` DateTime64(3) DEFAULT now64(3)
)
ENGINE = {placement.engine("ReplacingMergeTree", tables.STREAMS)}
ORDER BY (tenant, sid)
SETTINGS index_granularity = 8192,{_DURABLE}
"""


def _documents(placement: Placement) -> str:
    return f"""
CREATE TABLE IF NOT EXISTS {tables.DOCUMENTS}{placement.everywhere}
(
    `tenant` LowCardinality(String),
    `kind` LowCardinality(String),
    `id` String,
    `version` UInt64,
    `written` Int64,
    `is_deleted` Bool,
    `json` String CODEC(ZSTD(1))
)
ENGINE = {placement.engine("MergeTree", tables.DOCUMENTS)}
ORDER BY (tenant, kind, id, version)
SETTINGS index_granularity = 1024,{_DURABLE}
"""


def _versions(placement: Placement) -> str:
    return f"""
CREATE TABLE IF NOT EXISTS {tables.VERSIONS}{placement.everywhere}
(
    `version` UInt32,
    `applied` DateTime DEFAULT now()
)
ENGINE = {placement.engine("MergeTree", tables.VERSIONS)}
ORDER BY version
SETTINGS index_granularity = 8192,{_DURABLE}
"""
