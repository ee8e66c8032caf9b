"""The spool: whole records in order, whatever the disk or a kill does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.agent.spool import Record, Recovered, Spool, SpoolFull


def opened(folder: Path, *, max_bytes: int = 1 << 20, segment_bytes: int = 4096) -> tuple[Spool, list[Recovered]]:
    spool = Spool(folder, max_bytes=max_bytes, segment_bytes=segment_bytes)
    found: list[Recovered] = []
    spool.open(spooled=0, settled=0, recover=found.append)
    return spool, found


def drain(spool: Spool) -> list[Record]:
    taken: list[Record] = []
    while (record := spool.next()) is not None:
        taken.append(record)
        spool.settle(record, b"{}")
    return taken


def test_records_come_out_as_they_went_in(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    bodies = [os.urandom(size) for size in (0, 1, 5000, 10, 9000)]
    for number, body in enumerate(bodies):
        spool.append(b"head %d" % number, body)
    taken = drain(spool)
    assert [record.body for record in taken] == bodies
    assert [record.header for record in taken] == [b"head %d" % number for number in range(5)]
    assert [record.sequence for record in taken] == [1, 2, 3, 4, 5]
    spool.close()


def test_a_record_that_is_not_settled_comes_again_with_the_same_bytes(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    spool.append(b"1", b"one")
    spool.append(b"2", b"two")
    assert spool.next() == spool.next()
    spool.close()
    spool, found = opened(tmp_path)
    assert [item.header for item in found] == [b"1", b"2"]
    assert [record.body for record in drain(spool)] == [b"one", b"two"]
    spool.close()


def test_outcomes_survive_a_kill(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    for name in (b"1", b"2", b"3"):
        spool.append(name, name)
    record = spool.next()
    assert record is not None
    spool.settle(record, b"[1,{},{}]")
    spool, found = opened(tmp_path)  # Never closed: as after a kill.
    assert [(item.sequence, item.outcome) for item in found] == [(1, b"[1,{},{}]"), (2, None), (3, None)]
    assert [record.body for record in drain(spool)] == [b"2", b"3"]


@given(cut=st.integers(0, 300))
def test_a_torn_end_never_was_a_record(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool, _ = opened(folder)
    spool.append(b"first", b"a" * 100)
    first = spool.used_bytes
    spool.append(b"second", b"b" * 100)
    spool.close()
    (segment,) = folder.glob("*.spool")
    size = segment.stat().st_size
    os.truncate(segment, max(size - cut, 0))
    spool, found = opened(folder)
    expected = 2 if cut == 0 else 1 if size - cut >= first else 0
    assert len(found) == expected
    assert spool.append(b"next", b"n") == expected + 1
    assert [record.header for record in drain(spool)] == [*[b"first", b"second"][:expected], b"next"]
    spool.close()


def test_an_unsynced_end_with_a_good_header_never_was_a_record(tmp_path: Path) -> None:
    """After a power failure the length may be on disk and the bytes not."""
    spool, _ = opened(tmp_path)
    spool.append(b"first", b"a" * 100)
    spool.append(b"second", b"b" * 100)
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    with segment.open("r+b") as file:
        file.seek(-50, os.SEEK_END)
        file.write(b"\0" * 50)
    spool, found = opened(tmp_path)
    assert [item.header for item in found] == [b"first"]
    spool.close()


def test_damage_in_the_middle_costs_that_record_only_and_is_known(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path)
    for name in (b"first", b"second", b"third"):
        spool.append(name, name * 20)
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"secondsecond", b"secondSecond", 1))
    spool, found = opened(tmp_path)
    assert [item.header for item in found] == [b"first", b"second", b"third"]
    assert [record.body for record in drain(spool)] == [b"first" * 20, None, b"third" * 20]
    assert spool.damaged_records == 1
    spool.close()


def test_a_full_spool_takes_nothing_and_goes_on_when_segments_went(tmp_path: Path) -> None:
    spool, _ = opened(tmp_path, max_bytes=20_000, segment_bytes=4096)
    taken = 0
    while spool.has_room(1001):
        spool.append(b"h", os.urandom(1000))
        taken += 1
    with pytest.raises(SpoolFull):
        spool.append(b"h", os.urandom(1000))
    assert spool.used_bytes <= 20_000
    assert len(drain(spool)) == taken
    finished = spool.finished_segments()
    assert finished
    spool.remove(finished)
    assert spool.append(b"h", b"b") == taken + 1
    assert sum(path.stat().st_size for path in tmp_path.glob("*.spool")) == spool.used_bytes
    spool.close()


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, _ = opened(tmp_path)
    spool.append(b"1", b"one")

    def fails(file: int, buffers: list[bytes], offset: int) -> int:
        os.pwrite(file, b"".join(buffers)[:10], offset)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", fails)
        with pytest.raises(SpoolFull, match="No space left"):
            spool.append(b"2", b"two")
    assert spool.append(b"2", b"two again") == 2
    assert [record.body for record in drain(spool)] == [b"one", b"two again"]
    spool.close()
    _, found = opened(tmp_path)
    assert [item.header for item in found] == [b"1", b"2"]
