"""Spool, positions and ledger agree after a kill at any point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.agent.custody import SPOOL_CORRUPT, Custody, Sealed
from sillok.agent.ledger import Ledger, Outcome


def opened(folder: Path) -> Custody:
    custody = Custody(folder, spool_bytes=1 << 22)
    custody.open()
    return custody


def sealed(number: int, lines: int = 3) -> Sealed:
    return Sealed(b"body %d" % number, {"a": lines, "b": 1}, {"a": 10, "b": 2}, {"file": {"offset": number}})


def put(custody: Custody, batch: Sealed) -> None:
    for source, count in batch.lines.items():
        custody.ledger.read(source, count)
    custody.put(batch)


def settle(custody: Custody, outcome: Outcome | None = None) -> str | None:
    waiting = custody.next()
    if waiting is None:
        return None
    custody.ledger.sending(waiting.lines)
    custody.settle(waiting, outcome or Outcome(stored=waiting.line_count))
    return waiting.batch


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.sampled_from(["put", "put", "settle", "refuse", "checkpoint", "kill"]), max_size=40))
def test_nothing_that_was_put_or_settled_is_forgotten(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("custody")
    custody = opened(folder)
    puts, stored, refused = 0, 0, 0
    for step in [*steps, "kill"]:
        if step == "put":
            puts += 1
            put(custody, sealed(puts))
        elif step in ("settle", "refuse"):
            is_refused = step == "refuse"
            if settle(custody, Outcome(stored=3, refused={"line_too_long": 1}) if is_refused else None) is not None:
                stored += 3 if is_refused else 4
                refused += is_refused
        elif step == "checkpoint":
            custody.checkpoint()
        elif step == "kill":
            custody.spool.close()
            custody = opened(folder)
            total = custody.ledger.total()
            assert total.is_balanced
            assert (total.read, total.stored, sum(total.refused.values())) == (4 * puts, stored, refused)
            assert total.spooled == 4 * puts - stored - refused
            assert custody.positions.get("file", {"offset": 0}) == {"offset": puts}
    custody.close()


def test_a_batch_has_the_same_id_until_it_is_settled_and_no_other_has_it(tmp_path: Path) -> None:
    custody = opened(tmp_path)
    for _ in range(3):
        put(custody, Sealed(b"equal bytes", {"a": 1}, {"a": 1}, {}))
    first = custody.next()
    custody.spool.close()
    custody = opened(tmp_path)
    again = custody.next()
    assert first is not None
    assert again is not None
    assert (first.batch, first.record.body) == (again.batch, again.record.body)
    ids = [settle(custody) for _ in range(3)]
    assert len({*ids}) == 3
    assert all(batch is not None and len(batch) == 32 for batch in ids)
    custody.close()


def test_damage_on_disk_is_accounted_for(tmp_path: Path) -> None:
    custody = opened(tmp_path)
    put(custody, sealed(1))
    put(custody, sealed(2))
    custody.spool.close()
    (segment,) = (tmp_path / "spool").glob("*.spool")
    segment.write_bytes(segment.read_bytes().replace(b"body 1", b"BODY 1"))
    custody = opened(tmp_path)
    assert settle(custody) is not None
    assert settle(custody) is None
    total = custody.ledger.total()
    assert total.dropped == {SPOOL_CORRUPT: 4}
    assert total.stored == 4
    assert total.is_balanced
    custody.close()


def test_damaged_positions_are_kept_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    custody = opened(tmp_path)
    put(custody, sealed(1))
    custody.close()
    path = tmp_path / "positions.json"
    path.write_bytes(path.read_bytes().replace(b"offset", b"OFFSET"))
    opened(tmp_path).close()
    assert (tmp_path / "positions.damaged").exists()
    assert "cannot be trusted" in caplog.text


@given(
    lines=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50), min_size=1),
    data=st.data(),
)
def test_shares_of_a_refusal_sum_up(lines: dict[str, int], data: Any) -> None:
    total = sum(lines.values())
    refused = data.draw(st.integers(0, total))
    dropped = data.draw(st.integers(0, total - refused))
    ledger = Ledger()
    for source, count in lines.items():
        ledger.read(source, count)
    ledger.spooled(lines, {})
    ledger.sending(lines)
    ledger.settled(lines, Outcome(total - refused - dropped, {"x": dropped}, {"y": refused}))
    for source, sums in ledger.by_source().items():
        assert sums.is_balanced, source
        assert sums.in_flight == sums.spooled == 0
        assert min(sums.stored, *sums.dropped.values(), *sums.refused.values(), 0) >= 0
    summed = ledger.total()
    assert (summed.stored, sum(summed.refused.values())) == (total - refused - dropped, refused)


def test_sums_of_sources_that_are_long_gone_are_kept_together() -> None:
    ledger = Ledger()
    for number in range(300):
        ledger.read(f"s{number}", 1)
        ledger.spooled({f"s{number}": 1}, {})
        ledger.sending({f"s{number}": 1})
        ledger.settled({f"s{number}": 1}, Outcome(stored=1))
        ledger.retire(f"s{number}")
    assert ledger.total().stored == 300
    assert len(ledger.by_source()) == 201
