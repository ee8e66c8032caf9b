"""The settings that both engines run with, and what may stand in one."""

from __future__ import annotations

import re

MAX_QUERY_BYTES = 64 * 1024**2  # long lists of streams are part of the text the engine counts
MAX_BLOCK_ROWS = 1_048_449  # the engine's own bound of one block

READ: dict[str, str | int] = {
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_compression_method": "none",
    "max_query_size": MAX_QUERY_BYTES,
    "result_overflow_mode": "throw",
    "timeout_overflow_mode": "throw",
    # Keeping only what can still be among the first n rows pays for our largest limit too.
    "query_plan_max_limit_for_top_k_optimization": 10_000,
}
INSERT: dict[str, str | int] = {
    # One block: whatever the rows' bytes, the engine neither cuts nor joins.
    "max_block_size": MAX_BLOCK_ROWS,
    "max_insert_block_size": MAX_BLOCK_ROWS,
    "min_insert_block_size_rows": MAX_BLOCK_ROWS,
    "min_insert_block_size_bytes": 0,
    "max_insert_threads": 1,
    "max_threads": 1,
    # One push may span any number of days; the engine's default refuses more than 100.
    "max_partitions_per_insert_block": 0,
    "async_insert": 0,
}

_NAME = re.compile(r"[a-z_][a-z0-9_.]*\Z")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def checked_tag(tag: str) -> str:
    if not _TAG.match(tag):
        raise ValueError(f"{tag!r} cannot be the tag of a query")
    return tag


def checked_name(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} may not stand in SQL text")
    return name
