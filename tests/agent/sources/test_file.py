"""Files that grow, rotate, vanish and come back: every line exactly once."""

from __future__ import annotations

import gzip
import itertools
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sillok.agent.settings import FileSource
from sillok.agent.sources.formats import MAX_LINE_BYTES
from tests.agent.desk import Desk


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def desk(tmp_path: Path, logs: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "data", FileSource((f"{logs}/**/*.log",)))
    yield made
    made.stop()


def append(path: Path, *lines: str) -> None:
    with path.open("ab") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def rotate(path: Path, depth: int = 30) -> None:
    """As logrotate does without `copytruncate`: x.log.1 → x.log.2, x.log → x.log.1."""
    for number in range(depth, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def copytruncate(path: Path) -> None:
    for number in range(30, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)


def compress(path: Path) -> None:
    with path.open("rb") as plain, gzip.open(f"{path}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    path.unlink()


def test_a_file_is_read_from_its_beginning_and_each_line_says_where_it_stood(desk: Desk, logs: Path) -> None:
    append(logs / "x.log", "one", "zwei ü", "three")
    taken = desk.collect()
    assert [line.text for line in taken] == [b"one", "zwei ü".encode(), b"three"]
    assert [line.offset for line in taken] == [0, 4, 12]


def test_equal_lines_stay_several_lines_with_times_of_their_own(desk: Desk, logs: Path) -> None:
    append(logs / "x.log", *["same"] * 100)
    times = [line.time_ns for line in desk.collect()]
    assert times == sorted(set(times))
    assert len(times) == 100


def test_a_line_waits_for_its_end(desk: Desk, logs: Path) -> None:
    (logs / "x.log").write_bytes(b"one\ntw")
    assert [line.text for line in desk.collect()] == [b"one"]
    append(logs / "x.log", "o")
    assert [line.text for line in desk.collect()] == [b"two"]


def test_carriage_returns_belong_to_the_line_end(desk: Desk, logs: Path) -> None:
    (logs / "x.log").write_bytes(b"one\r\ntwo\r\n\r\n")
    assert [(line.text, line.offset) for line in desk.collect()] == [(b"one", 0), (b"two", 5), (b"", 10)]


def test_new_files_are_found_in_new_folders(desk: Desk, logs: Path) -> None:
    desk.collect()
    (logs / "vllm" / "deep").mkdir(parents=True)
    append(logs / "vllm" / "deep" / "x.log", "INFO hello")
    (line,) = desk.collect()
    assert 'service="vllm"' in line.labels
    assert 'level="info"' in line.labels
    assert f'filename="{logs}/vllm/deep/x.log"' in line.labels


def test_a_rotated_file_is_read_to_its_end(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "1", "2")
    desk.collect()
    append(path, "3")
    rotate(path)
    append(path, "4")
    with path.with_name("x.log.1").open("ab") as late:
        late.write(b"3b\n")  # A writer that has not reopened its file yet.
    desk.collect()
    assert sorted(desk.texts()) == [b"1", b"2", b"3", b"3b", b"4"]
    assert desk.texts().index(b"3") < desk.texts().index(b"4")
    assert {line.labels for line in desk.taken} == {desk.taken[0].labels}


def test_what_is_written_between_two_rotations_is_not_missed(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "1")
    desk.collect()
    append(path, "2")
    rotate(path)
    append(path, "3")  # Stands in x.log only between two looks.
    rotate(path)
    append(path, "4")
    desk.collect()
    assert desk.texts() == [b"1", b"2", b"3", b"4"]


def test_rotations_that_were_there_first_are_left_alone(desk: Desk, logs: Path) -> None:
    append(logs / "x.log.1", "old")
    append(logs / "x.log", "new")
    desk.collect()
    rotate(logs / "x.log")
    append(logs / "x.log", "newer")
    desk.collect()
    assert desk.texts() == [b"new", b"newer"]


def test_copytruncate_loses_and_doubles_nothing(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "1", "2")
    desk.collect()
    append(path, "3")  # Not read before it is only in the copy.
    copytruncate(path)
    append(path, "4")
    desk.collect()
    desk.collect()
    assert sorted(desk.texts()) == [b"1", b"2", b"3", b"4"]


def test_a_file_that_was_truncated_and_grew_beyond_the_position_is_read_anew(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "aaaa 1", "aaaa 2")
    desk.collect()
    path.write_bytes(b"")
    append(path, *(f"bbbb {number}" for number in range(50)))
    assert [line.text for line in desk.collect()] == [b"bbbb %d" % number for number in range(50)]


def test_a_deleted_file_is_read_to_its_end(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "1")
    desk.collect()
    append(path, "2")
    path.unlink()
    desk.collect()
    assert desk.texts() == [b"1", b"2"]
    for _ in range(4):
        desk.collect()
    assert desk.files.followed[str(path)].is_drained


def test_the_last_words_of_a_deleted_file_need_no_newline(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    path.write_bytes(b"one\nkilled in mid")
    desk.collect()
    path.unlink()
    for _ in range(4):
        desk.collect()
    assert desk.texts() == [b"one", b"killed in mid"]


def test_a_reused_inode_is_another_file(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "first 1", "first 2")
    desk.collect()
    inode = path.stat().st_ino
    desk.stop()
    path.unlink()
    for number in range(200):
        append(path, "second 1", "second 2", "second 3")
        if path.stat().st_ino == inode:
            break
        path.rename(logs / f"keeps-the-inode-{number}")
    else:
        pytest.skip("this file system does not reuse inodes")
    desk._start()
    assert [line.text for line in desk.collect()] == [b"second 1", b"second 2", b"second 3"]


def test_what_was_rotated_away_while_nobody_looked_is_read(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "1")
    desk.collect()
    desk.stop()
    append(path, "2")
    rotate(path)
    append(path, "3")
    rotate(path)
    append(path, "4")
    desk._start()
    desk.collect()
    desk.collect()
    assert sorted(desk.texts()) == [b"1", b"2", b"3", b"4"]


def test_a_compressed_rotation_is_read_where_it_was_not_read_before(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "1", "2")
    desk.collect()
    desk.stop()
    append(path, "3")
    rotate(path)
    compress(path.with_name("x.log.1"))
    append(path, "4")
    desk._start()
    desk.collect()
    desk.collect()
    assert sorted(desk.texts()) == [b"1", b"2", b"3", b"4"]


def test_a_compressed_rotation_of_read_lines_adds_nothing(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    append(path, "1", "2")
    desk.collect()
    rotate(path)
    append(path, "3")
    desk.collect()
    for _ in range(4):
        desk.collect()
    compress(path.with_name("x.log.1"))
    for _ in range(4):
        desk.collect()
    assert desk.texts() == [b"1", b"2", b"3"]
    desk.restart()
    desk.collect()
    assert desk.texts() == [b"1", b"2", b"3"]


def test_a_compressed_file_that_is_named_is_read(tmp_path: Path, logs: Path) -> None:
    append(logs / "old.log", "1", "2")
    compress(logs / "old.log")
    desk = Desk(tmp_path / "data", FileSource((f"{logs}/*.gz",)))
    desk.collect()
    desk.restart()
    desk.collect()
    desk.stop()
    assert desk.texts() == [b"1", b"2"]


def test_a_damaged_compressed_file_is_reported_once_and_stops_nobody(
    desk: Desk, logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sillok.agent")
    append(logs / "x.log", "1")
    desk.collect()
    (logs / "x.log.1.gz").write_bytes(b"\x1f\x8b but no more")
    append(logs / "x.log", "2")
    for _ in range(5):
        desk.collect()
    assert desk.texts() == [b"1", b"2"]
    assert sum("x.log.1.gz" in record.getMessage() for record in caplog.records) == 1


def test_a_renamed_file_that_still_matches_is_not_read_twice(desk: Desk, logs: Path) -> None:
    append(logs / "app.log", "1")
    desk.collect()
    (logs / "app.log").rename(logs / "app-2026-11-21.log")
    append(logs / "app.log", "2")
    append(logs / "app-2026-11-21.log", "1b")
    desk.collect()
    desk.collect()
    desk.restart()
    desk.collect()
    assert sorted(desk.texts()) == [b"1", b"1b", b"2"]


def test_files_with_numbers_in_their_names_are_files_of_their_own(desk: Desk, logs: Path) -> None:
    for name in ("worker.log", "worker-1.log", "worker-2.log"):
        append(logs / name, name)
    desk.collect()
    for name in ("worker.log", "worker-1.log", "worker-2.log"):
        append(logs / name, name)
    desk.collect()
    for line in desk.taken:
        assert f'filename="{logs}/{line.text.decode()}"' in line.labels
    assert len(desk.taken) == 6


def test_a_very_long_line_is_split_and_marked(desk: Desk, logs: Path) -> None:
    long = "ü" * (MAX_LINE_BYTES + 5)
    append(logs / "x.log", "before", long, "after")
    desk.collect()
    assert desk.texts()[0] == b"before"
    assert desk.texts()[-1] == b"after"
    parts = desk.taken[1:-1]
    assert b"".join(line.text for line in parts).decode() == long
    assert [dict(line.metadata)["line_part"] for line in parts] == ["1", "2", "3/3"]
    assert all(len(line.text) <= MAX_LINE_BYTES for line in parts)
    for line in parts:
        line.text.decode()


def test_a_line_without_end_is_split_while_it_grows_and_survives_a_kill(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    path.write_bytes(b"ERROR " + b"a" * (MAX_LINE_BYTES + 1000))
    desk.collect()
    desk.restart(kill=True)
    with path.open("ab") as file:
        file.write(b"b" * MAX_LINE_BYTES + b"\nnext\n")
    desk.collect()
    assert desk.texts()[-1] == b"next"
    assert b"".join(desk.texts()[:-1]) == b"ERROR " + b"a" * (MAX_LINE_BYTES + 1000) + b"b" * MAX_LINE_BYTES
    assert all('level="error"' in line.labels for line in desk.taken[:-1])
    assert [dict(line.metadata)["line_part"] for line in desk.taken[:-1]] == ["1", "2", "3/3"]


def test_a_binary_file_is_not_read(desk: Desk, logs: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sillok.agent")
    (logs / "wtmp.log").write_bytes(b"\x08\0\0\0pts/0\n\0\0\0root\n" * 100)
    append(logs / "x.log", "text")
    for _ in range(3):
        desk.collect()
        with (logs / "wtmp.log").open("ab") as file:
            file.write(b"\0\0more\n")
    assert desk.texts() == [b"text"]
    assert sum("is not text" in record.getMessage() for record in caplog.records) == 1


def test_a_hole_left_by_truncating_under_a_writer_is_stepped_over(desk: Desk, logs: Path) -> None:
    path = logs / "x.log"
    with path.open("wb") as writer:
        writer.write(b"1\n" * 5000)
        writer.flush()
        desk.collect()
        os.truncate(path, 0)
        writer.write(b"after the hole\n")
    desk.collect()
    assert desk.texts()[5000:] == [b"after the hole"]


def test_an_unreadable_path_is_reported_once_and_stops_nobody(
    desk: Desk, logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(logs / "x.log", "1")
    append(logs / "y.log", "1")
    desk.collect()
    (logs / "y.log").unlink()
    (logs / "y.log").symlink_to(logs / "y.log")  # A circle: every look at it fails.
    for _ in range(5):
        append(logs / "x.log", "2")
        desk.collect()
    assert desk.texts() == [b"1"] * 2 + [b"2"] * 5
    assert sum("cannot be read" in record.getMessage() for record in caplog.records) == 1


def test_a_large_old_file_is_read_from_a_bound_before_its_end(tmp_path: Path, logs: Path) -> None:
    append(logs / "x.log", *(f"line {number:04}" for number in range(1000)))
    desk = Desk(tmp_path / "data", FileSource((f"{logs}/*.log",)), first_sight_bytes=95)
    assert [line.text for line in desk.collect()] == [b"line %04d" % number for number in range(991, 1000)]
    append(logs / "x.log", "more")
    assert [line.text for line in desk.collect()] == [b"more"]
    desk.stop()


def test_reading_goes_on_where_it_stopped(desk: Desk, logs: Path) -> None:
    append(logs / "x.log", "1", "2")
    desk.collect()
    desk.restart()
    desk.collect()
    append(logs / "x.log", "3")
    desk.restart(kill=True)
    desk.collect()
    assert desk.texts() == [b"1", b"2", b"3"]


def test_files_of_the_collector_itself_are_never_read(tmp_path: Path) -> None:
    append(tmp_path / "own.log", "mine")
    desk = Desk(tmp_path / "data", FileSource((f"{tmp_path}/**/*",)))
    desk.collect()
    desk.collect()
    assert desk.texts() == [b"mine"]
    desk.stop()


def test_excluded_files_and_hidden_folders_are_not_read(tmp_path: Path, logs: Path) -> None:
    (logs / ".git").mkdir()
    for name in ("a.log", "b.log", ".git/c.log"):
        append(logs / name, name)
    desk = Desk(tmp_path / "data", FileSource((f"{logs}/**/*.log",), exclude=(f"{logs}/b*",)))
    assert [line.text for line in desk.collect()] == [b"a.log"]
    desk.stop()


def test_no_file_keeps_the_others_waiting(tmp_path: Path, logs: Path) -> None:
    append(logs / "huge.log", *("x" * 1000 for _ in range(8000)))
    append(logs / "small.log", "me too")
    desk = Desk(tmp_path / "data", FileSource((f"{logs}/*.log",)))
    desk.offset_s += 1
    desk.collector.turn()
    desk.collector.turn()
    desk.deliver()
    assert b"me too" in desk.texts()
    assert len(desk.texts()) < 8000
    desk.stop()


def test_a_full_spool_makes_sources_wait_and_loses_nothing(tmp_path: Path, logs: Path) -> None:
    desk = Desk(tmp_path / "data", FileSource((f"{logs}/*.log",)), batch_bytes=64 * 1024, spool_bytes=512 * 1024)
    desk.takes = False
    rows = [os.urandom(200).hex() for _ in range(10_000)]
    append(logs / "x.log", *rows)
    desk.collect()
    assert desk.collector.is_paused
    assert desk.custody.spool.used_bytes <= 512 * 1024
    assert desk.custody.ledger.total().read < 10_000
    rotate(logs / "x.log")  # While the source waits.
    append(logs / "x.log", "last")
    desk.takes = True
    for _ in range(60):
        desk.deliver()
        desk.custody.checkpoint()
        desk.collect()
    assert desk.texts() == [row.encode() for row in rows] + [b"last"]
    assert desk.custody.ledger.total().is_balanced
    desk.stop()


STEPS = st.lists(
    st.sampled_from(
        [
            "append",
            "append",
            "append",
            "partial",
            "rotate",
            "copytruncate",
            "compress",
            "collect",
            "idle",
            "kill",
            "stop",
        ]
    ),
    min_size=4,
    max_size=24,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_to_a_file_each_line_comes_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("steps")
    path = folder / "x.log"
    path.touch()
    desk = Desk(folder / "data", FileSource((f"{folder}/x.log",)))
    desk.collect()
    written: list[bytes] = []
    opened = ""
    packed = itertools.count(100)
    for step in [*steps, "append", "collect", "collect"]:
        number = len(written)
        if step == "append":
            written.append(f"{opened}line {number} of the log, long enough to be told from others".encode())
            append(path, written[-1].decode()[len(opened) :])
            opened = ""
        elif step == "partial" and not opened:
            opened = f"begun {number}: "
            with path.open("a") as file:
                file.write(opened)
        elif step == "rotate" and not opened:
            rotate(path)
            path.touch()
        elif step == "copytruncate" and not opened:
            copytruncate(path)
        elif step == "compress":
            plain = path.with_name("x.log.2")
            if plain.exists() and not Path(f"{plain}.gz").exists():
                compress(plain)
                Path(f"{plain}.gz").rename(path.with_name(f"x.log.{next(packed)}.gz"))
        elif step == "collect":
            desk.collect()
        elif step == "idle":
            desk.collect(advance_s=200)  # Long enough for idle files to be closed.
        elif step in ("kill", "stop"):
            desk.restart(kill=step == "kill")
    for _ in range(4):
        desk.collect()
    assert sorted(desk.texts()) == sorted(written)
    assert desk.custody.ledger.total().is_balanced
    desk.stop()
    shutil.rmtree(folder)
