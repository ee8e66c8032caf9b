"""What bites when chDB runs inside this process. Each case needs a folder, and so a process, of its own."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.peers import missing

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN = """
import logging, os, subprocess, sys, threading, time
from pathlib import Path
import pyarrow as pa
from sillok.errors import *
from sillok.model.timerange import TimeRange
from sillok.schema import logs, parts
from sillok.schema.ddl import Placement
from sillok.sql.statement import Statement
from sillok.store.engines.chdb import open_chdb
from sillok.store.settings import StoreSettings
from sillok.store.tables import Tables
from sillok.store.writer import Writer
from tests.store.test_writer import rows, NOON

logging.basicConfig(level="ERROR", format="%(message)s", stream=sys.stdout)
folder = Path(sys.argv[1])
MIN_FREE = int(os.environ.get("MIN_FREE", "0"))

def opened():
    engine = open_chdb(folder, max_memory_bytes=1 << 30)
    Tables(engine, StoreSettings(min_free_bytes=MIN_FREE)).migrate()
    return engine

def house(engine, text):
    return engine.query(Statement(text, is_housekeeping=True))

def count(engine):
    return house(engine, "SELECT count() AS n FROM sillok.logs")["n"][0].as_py()
"""


def run(folder: Path, code: str, *, timeout_s: float = 60, **env: str) -> str:
    """What `code` prints, run in a process of its own that must end well."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, str(folder)],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@contextmanager
def started(folder: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code`, once it has printed its first line; killed at the end."""
    command = [sys.executable, "-c", BEGIN + code, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def blocks(file: Path) -> list[int]:
    """The bytes that each compressed block of a column file holds.

    Source: ClickHouse src/Compression/CompressionInfo.h: checksum (16), method (1), its bytes (4), bytes held (4)
    """
    content = file.read_bytes()
    held: list[int] = []
    at = 0
    while at < len(content):
        size, holds = struct.unpack_from("<II", content, at + 17)
        held.append(holds)
        at += 16 + int(size)
    return held


STORE = """
engine = opened()
Writer(engine).append(rows("t", [b"%06d " % i + os.urandom(120).hex().encode() for i in range(2000)]))
"""


def test_a_second_process_is_refused_and_told_who_has_the_folder(tmp_path: Path) -> None:
    with started(tmp_path, "engine = opened(); print('open', flush=True); time.sleep(60)") as holder:
        told = run(tmp_path, "try: opened()\nexcept StoreLocked as error: print(error)")
        assert f"process id {holder.pid}" in told
        assert str(tmp_path) in told
    # The lock of a process that was killed does not stay.
    assert run(tmp_path, "engine = opened(); print(count(engine)); engine.close()") == "0"


def test_a_second_folder_in_one_process_is_refused(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
engine = opened()
try: open_chdb(folder / "other")
except StoreUnavailable as error: print(error)
engine.close()
""",
    )
    assert "cannot be opened" in told


def test_a_folder_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    run(tmp_path, STORE + "engine.close()")
    (table,) = (tmp_path / "chdb" / "store").glob("*/*/logs.sql")
    table.write_text("this is no definition")
    told = run(tmp_path, "try: opened()\nexcept StoreUnavailable as error: print(error)")
    assert "logs.sql" in told
    assert "Exception" in told


def test_a_definition_that_a_full_disk_left_empty_is_repaired(tmp_path: Path) -> None:
    run(tmp_path, STORE + "engine.close()")
    definitions = list((tmp_path / "chdb").rglob("*.sql"))
    assert len(definitions) >= 4
    for path in definitions:
        path.write_bytes(b"")
    assert run(tmp_path, "engine = opened(); print(count(engine)); engine.close()") == "2000"


def test_a_damaged_part_is_put_aside_and_told(tmp_path: Path) -> None:
    run(tmp_path, STORE + "Writer(engine).append(rows('t', [b'one more'], ts=[1])); engine.close()")
    (column,) = [path for path in (tmp_path / "chdb" / "store").rglob("data.bin") if "20000_" in path.parent.name]
    with column.open("r+b") as file:
        file.truncate(column.stat().st_size // 2)
    told = run(tmp_path, "engine = opened(); print(count(engine)); engine.close()")
    assert told.splitlines()[-1] == "1"
    assert "is damaged" in told
    assert "table logs" in told


def test_a_flipped_byte_is_found_and_its_block_is_small(tmp_path: Path) -> None:
    run(tmp_path, STORE + "engine.close()")
    (column,) = [path for path in (tmp_path / "chdb" / "store").rglob("data.bin") if "20000_" in path.parent.name]
    # The time a flipped byte costs grows with the square of this: 680 KB took four minutes.
    assert max(blocks(column)) <= 132 * 1024
    with column.open("r+b") as file:
        file.seek(column.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    told = run(
        tmp_path,
        """
engine = opened()
try: house(engine, "SELECT sum(cityHash64(line)) AS n FROM sillok.logs")
except StoreUnavailable as error: print("refused", error.code)
print(house(engine, "SELECT 1 AS one")["one"][0].as_py())
engine.close()
""",
    )
    assert told.splitlines() == ["refused 40", "1"]


def test_an_acknowledged_row_is_on_disk_and_so_are_merged_parts(tmp_path: Path) -> None:
    counted = """
def events(name):
    statement = Statement("SELECT sum(value) AS n FROM system.events WHERE event = {name:String}", {"name": name})
    return engine.query(statement)["n"][0].as_py() or 0

def synced():
    return events("FileSync")

engine = opened()
house(engine, "SELECT 1")
engine.execute(Statement("SYSTEM STOP MERGES", is_housekeeping=True))
before = synced()
directories = events("DirectorySync")
for i in range(3):
    Writer(engine).append(rows("t", [b"line"], recv=i))
files = synced() - before
print(files >= 3)
print(events("DirectorySync") > directories)
engine.execute(Statement("SYSTEM START MERGES", is_housekeeping=True))
before = synced()
engine.execute(Statement("OPTIMIZE TABLE sillok.logs FINAL", is_housekeeping=True))
print(house(engine, "SELECT count() AS n FROM system.parts WHERE active AND table = 'logs'")["n"][0].as_py())
print(synced() > before)
engine.close()
"""
    assert run(tmp_path, counted).split() == ["True", "True", "1", "True"]


def test_a_query_that_runs_when_the_program_ends_does_not_crash_it(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
engine = opened()
def ask():
    try: engine.query(Statement("SELECT sum(sipHash64(number)) FROM numbers(100000000000)"))
    except SillokError: pass
threading.Thread(target=ask, daemon=True).start()
time.sleep(0.3)
# no close: the end of the program does it
""",
        timeout_s=30,
    )


def test_close_ends_queries_and_a_closed_engine_says_so(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
engine = opened()
said = []
def ask():
    try: engine.query(Statement("SELECT sum(sipHash64(number)) FROM numbers(100000000000)"), tag="long")
    except SillokError as error: said.append(type(error).__name__)
thread = threading.Thread(target=ask)
thread.start()
time.sleep(0.3)
begin = time.monotonic()
engine.close()
engine.close()
print(time.monotonic() - begin < 5)
thread.join()
print(said[0])
try: engine.query(Statement("SELECT 1"))
except StoreUnavailable as error: print(error)
""",
    )
    assert told.splitlines() == ["True", "QueryCancelled", "the store is closed"]


def test_programs_and_spawned_workers_start_beside_an_open_engine(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
import concurrent.futures, multiprocessing, math, signal
engine = opened()
blocked = "import signal; print(signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
print(subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, timeout=20).stdout.strip())
with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
    print(pool.submit(math.sqrt, 9).result(timeout=30))
print(count(engine))
engine.close()
""",
    )
    assert told.splitlines() == ["False", "3.0", "0"]


def test_signals_arrive_while_a_query_runs(tmp_path: Path) -> None:
    with started(
        tmp_path,
        """
engine = opened()
def ask():
    try: engine.query(Statement("SELECT sum(sipHash64(number)) FROM numbers(100000000000)"))
    except SillokError: pass
threading.Thread(target=ask).start()
import signal
signal.signal(signal.SIGTERM, lambda *_: (engine.close(), os._exit(7)))
time.sleep(0.3)
print("running", flush=True)
time.sleep(60)
""",
    ) as process:
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 7
        assert time.monotonic() - begin < 5


def test_a_start_finds_what_was_stored_before_a_kill(tmp_path: Path) -> None:
    with started(
        tmp_path,
        """
engine = opened()
writer = Writer(engine)
acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(100000):
    writer.append(rows("t", [b"x"] * 50, batch=number.to_bytes(16, "big"), recv=number))
    os.write(acknowledged, b".")
    if number == 20: print("going", flush=True)
""",
    ) as process:
        time.sleep(0.5)
        process.kill()
        process.wait()
    acknowledged = (tmp_path / "acknowledged").stat().st_size
    assert acknowledged > 20
    stored = int(run(tmp_path, "engine = opened(); print(count(engine)); engine.close()"))
    assert stored in (acknowledged * 50, (acknowledged + 1) * 50)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own, 256 MB large."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        missing("a small file system cannot be mounted here: that needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_refuses_rows_and_ddl_and_passes_by_itself(small_disk: Path) -> None:
    told = run(
        small_disk,
        STORE
        + """
def refused(what):
    try: what()
    except StoreFull: return True
    return False

ballast = folder / "ballast"
def fill(left):
    with ballast.open("ab") as file:
        while (free := os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize) > left:
            file.write(bytes(min(1 << 20, free - left)))
            file.flush()

one_more = lambda: Writer(engine).append(rows("t", [b"x"], recv=9))
one_more()
fill(40 << 20)                      # below the watermark, far from full
print(refused(one_more), count(engine))
fill(4 << 20)                       # too little for DDL
make = Statement("CREATE TABLE sillok.other (n UInt8) ENGINE = MergeTree ORDER BY n")
print(refused(lambda: engine.execute(make)), count(engine))
fill(0)                             # nothing at all
print(refused(one_more), refused(lambda: engine.execute(make)), count(engine))
engine.close()
""",
        MIN_FREE=str(64 << 20),
    )
    assert told.splitlines() == ["True 2001", "True 2001", "True True 2001"]
    # A start on the full disk works, and so do pushes as soon as there is room.
    told = run(
        small_disk,
        """
engine = opened()
print(count(engine))
(folder / "ballast").unlink()
Writer(engine).append(rows("t", [b"x"], recv=10))
print(count(engine))
engine.close()
""",
        MIN_FREE=str(64 << 20),
    )
    assert told.splitlines() == ["2001", "2002"]


def test_the_watermark_follows_its_setting(tmp_path: Path) -> None:
    told = "engine = opened(); print(engine.query(parts.least_free('sillok.logs'))['bytes'][0].as_py()); engine.close()"
    assert run(tmp_path, told, MIN_FREE="1000") == "1000"
    assert run(tmp_path, told, MIN_FREE="2000") == "2000"
    assert run(tmp_path, told, MIN_FREE="0") == "0"


def test_data_of_a_newer_sillok_is_refused(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        """
engine = opened()
engine.insert("sillok.versions", pa.table({"version": pa.array([99], pa.uint32())}))
try: Tables(engine).migrate()
except StoreUnavailable as error: print(error)
engine.close()
""",
    )
    assert "schema version 99" in told


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core there is nothing to share")
def test_a_question_has_every_core_under_a_small_memory_cap(tmp_path: Path) -> None:
    # `query` would take the text for a question of its own: the settings belong to what is explained.
    told = run(
        tmp_path,
        """
engine = opened()
text = "SELECT sum(number) AS n FROM numbers_mt(100000000)" + engine._settings("t", None, None)
print(engine._root.query("EXPLAIN PIPELINE " + text, "TabSeparatedRaw"))
engine.close()
""",
    )
    assert "AggregatingTransform × " in told
