"""The tables on one machine, and what a cluster changes. The form on a cluster was not run on one."""

from __future__ import annotations

import pytest

from sillok.schema import ddl
from sillok.schema.ddl import Placement

CLUSTER = Placement("big")


def texts(placement: Placement) -> str:
    steps = [statement.text for step in ddl.steps(placement) for statement in step.statements]
    return "\n".join(statement.text for statement in ddl.before_steps(placement)) + "\n".join(steps)


def test_on_one_machine_nothing_is_replicated() -> None:
    text = texts(ddl.ONE_MACHINE)
    assert "Replicated" not in text
    assert "ON CLUSTER" not in text
    assert "_local" not in text


def test_on_a_cluster_every_table_is_replicated_and_the_logs_are_sharded() -> None:
    text = texts(CLUSTER)
    assert text.count("CREATE") == text.count("ON CLUSTER big")
    assert text.count("ENGINE = Replicated") == 4
    assert "ReplicatedMergeTree('/clickhouse/tables/{shard}/sillok.logs', '{replica}')" in text
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/sillok.streams', '{replica}')" in text
    assert "sillok.logs ON CLUSTER big AS sillok.logs_local ENGINE = Distributed(big, sillok, logs_local, sid)" in text


@pytest.mark.parametrize("placement", [ddl.ONE_MACHINE, CLUSTER])
def test_every_table_is_fsynced_and_has_small_blocks(placement: Placement) -> None:
    for text in texts(placement).split("CREATE TABLE")[1:]:
        if "Distributed" not in text:
            assert "fsync_after_insert = 1" in text
            assert "fsync_part_directory = 1" in text
            assert "min_rows_to_fsync_after_merge = 1" in text
            assert "max_compress_block_size = 65536" in text


def test_a_step_has_the_number_behind_the_one_before() -> None:
    assert [step.version for step in ddl.steps(ddl.ONE_MACHINE)] == list(range(1, len(ddl.steps(CLUSTER)) + 1))


def test_the_name_of_a_cluster_cannot_break_out() -> None:
    with pytest.raises(ValueError, match="name of a cluster"):
        Placement("big' ON")
