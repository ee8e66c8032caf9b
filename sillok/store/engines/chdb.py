"""chDB: ClickHouse inside this process, its data in one folder.

What bites, and how it is held off here (measured on chDB 4.4):

- a session is used once: after a statement that failed part-way the next result on it begins with the failed one's;
- the folder is locked by us first, because chDB says only on file descriptor 2 why it cannot open one;
- a running query at interpreter exit is a segfault: `close` ends and awaits them, at exit by itself;
- `fork` after opening hangs the child: start programs with `subprocess`, workers with `spawn`.
"""

from __future__ import annotations

import atexit
import itertools
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chdb
import pyarrow as pa
from chdb import session as driver

from sillok.errors import QueryCancelled, SillokError, StoreFull, StoreUnavailable
from sillok.sql import render
from sillok.sql.expr import Column, Named
from sillok.sql.statement import Statement, Value
from sillok.store import door
from sillok.store.binding import bind
from sillok.store.engines import folder as folders
from sillok.store.engines.settings import INSERT, READ, checked_name, checked_tag
from sillok.store.faults import fault, fault_of_insert

DEFAULT_MAX_MEMORY_BYTES = 2 * 1024**3
DEFAULT_MAX_RESULT_BYTES = 256 * 1024**2
MIN_FREE_BYTES_FOR_DDL = 16 * 1024**2  # DDL on a full disk may report success and leave a table that cannot be read
CANCEL_PATIENCE_S = 1.0  # how long `cancel` looks for a query that was started but cannot be seen yet
CLOSE_PATIENCE_S = 30.0

# The import blocks SIGPIPE in its thread, and programs that are started from there would inherit that.
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPIPE})

_DRIVER_ERRORS = (RuntimeError, chdb.ChdbError)
_Session: Any = driver.Session  # untyped upstream

_READ_TAG = "sillok-read-"
_WRITE_TAG = "sillok-write-"


def open_chdb(
    folder: Path,
    *,
    max_memory_bytes: int = DEFAULT_MAX_MEMORY_BYTES,
    max_result_bytes: int = DEFAULT_MAX_RESULT_BYTES,
    threads: int = 0,
) -> ChdbEngine:
    """Open the data folder, making it when it is not there. One folder per process, one process per folder.

    `threads` bounds one query's threads; 0 leaves it to the engine (one a core).

    Raises:
        StoreLocked: another process has the folder open.
        StoreUnavailable: the folder cannot be opened; the text says why.
    """
    lock = folders.lock(folder)
    try:
        folders.repair_definitions(folder)
        root = _open_root(folder, max_memory_bytes=max_memory_bytes)
    except BaseException:
        lock.release()
        raise
    read: dict[str, str | int] = {
        **READ,
        "max_result_bytes": max_result_bytes,
        # One query leaves the others, and inserts, some memory; what does not fit is sorted and grouped on disk.
        "max_memory_usage": max_memory_bytes * 3 // 5,
        "max_bytes_before_external_group_by": max_memory_bytes // 4,
        "max_bytes_before_external_sort": max_memory_bytes // 4,
        # By default the engine counts a thread as 1 GiB of what is free: under our cap every query had one core.
        # Measured on 5 M lines and two cores: a needle 1,160 ms, without this rule 560 ms.
        "max_threads_min_free_memory_per_thread": 0,
    }
    if threads:
        read["max_threads"] = threads
    return ChdbEngine(folder, lock, root, read)


class ChdbEngine:
    """The `Engine` of one folder."""

    def __init__(
        self, folder: Path, lock: folders.FolderLock, root: Any, read_settings: Mapping[str, str | int]
    ) -> None:
        self._folder = folder
        self._path = str(folders.data_folder(folder))
        self._lock = lock
        self._root = root
        self._read = dict(read_settings)
        self._state = threading.Condition()
        self._running: Counter[str] = Counter()  # queries by tag; several may share one
        self._cancelled: set[str] = set()  # tags of running queries that `cancel` was called for
        self._is_closed = False
        self._fresh_tags = itertools.count()
        atexit.register(self.close)

    @property
    def is_embedded(self) -> bool:
        return True

    def execute(self, statement: Statement, *, settings: Mapping[str, str | int] | None = None) -> None:
        door.check(statement)
        if folders.free_bytes(self._folder) < MIN_FREE_BYTES_FOR_DDL:
            raise StoreFull("the disk of the store has no room to change its tables")
        with self._registered(is_write=True), self._session() as session:
            for name, value in (settings or {}).items():
                _run(session, f"SET {_assignment(name, value)}")
            _run(session, statement.text, params=bind(statement.params))
        folders.keep_definitions(self._folder)

    def query(
        self,
        statement: Statement,
        *,
        tag: str | None = None,
        timeout_s: float | None = None,
        settings: Mapping[str, str | int] | None = None,
    ) -> pa.Table:
        door.check(statement)
        with self._registered(tag) as name, self._session() as session:
            text = statement.text + self._settings(name, timeout_s, settings)
            return _table(_run(session, text, "Arrow", params=bind(statement.params)))

    def stream(
        self,
        statement: Statement,
        *,
        tag: str | None = None,
        timeout_s: float | None = None,
        settings: Mapping[str, str | int] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        door.check(statement)
        unbounded = {"max_result_bytes": 0, **(settings or {})}
        with self._registered(tag) as name, self._session() as session:
            text = statement.text + self._settings(name, timeout_s, unbounded)
            try:
                yield from session.send_query(text, "Arrow", params=bind(statement.params)).record_batch(1)
            except GeneratorExit:
                # Closing a stream waits for the query's end, so end it first.
                self._kill(name)
                raise
            except _DRIVER_ERRORS as error:
                raise fault(str(error)) from None

    def insert(self, table: str, rows: pa.Table, *, columns: Sequence[Named] | None = None) -> None:
        stored = columns or [Named(Column(name), name) for name in rows.column_names]
        params: dict[str, Value] = {}
        # `rows` is found by its name: the engine looks for it in the frames that call it.
        text = render.insert(table, stored, "Python(rows)", params) + _clause(INSERT)
        with self._registered(is_write=True), self._session() as session:
            _run(session, text, params=bind(params), explained=fault_of_insert)

    def cancel(self, tag: str) -> None:
        with self._state:
            if not self._running[tag]:
                return
            self._cancelled.add(tag)
        deadline = time.monotonic() + CANCEL_PATIENCE_S
        # A query that has just been started may not be there to be killed yet.
        while not self._kill(tag) and self._running[tag] and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        with self._state:
            if self._is_closed:
                return
            self._is_closed = True
        atexit.unregister(self.close)
        if self._ended_all():
            self._root.close()
            self._lock.release()
        # Else a thread is still inside the engine: closing under it would crash the process, which ends anyway.

    def _ended_all(self) -> bool:
        """End the queries, await them and the inserts; whether all have ended in time."""
        deadline = time.monotonic() + CLOSE_PATIENCE_S
        while self._running and time.monotonic() < deadline:
            for tag in tuple(self._running):
                if not tag.startswith(_WRITE_TAG):
                    self._kill(tag)
            with self._state:
                self._state.wait_for(lambda: not self._running, timeout=0.05)
        return not self._running

    def _settings(self, tag: str, timeout_s: float | None, settings: Mapping[str, str | int] | None) -> str:
        chosen: dict[str, str | int] = {**self._read, **(settings or {}), "log_comment": tag}
        if timeout_s is not None:
            chosen["max_execution_time"] = f"{max(timeout_s, 0.001):.3f}"
        return _clause(chosen)

    @contextmanager
    def _registered(self, tag: str | None = None, *, is_write: bool = False) -> Iterator[str]:
        name = checked_tag(tag or f"{_WRITE_TAG if is_write else _READ_TAG}{next(self._fresh_tags)}")
        with self._state:
            if self._is_closed:
                raise StoreUnavailable("the store is closed")
            self._running[name] += 1
        try:
            yield name
            if name in self._cancelled:
                raise QueryCancelled("the query was cancelled")
        finally:
            with self._state:
                self._running[name] -= 1
                if not self._running[name]:
                    del self._running[name]
                    self._cancelled.discard(name)
                self._state.notify_all()

    @contextmanager
    def _session(self) -> Iterator[Any]:
        session = _Session(self._path)
        try:
            yield session
        finally:
            session.close()

    def _kill(self, tag: str) -> bool:
        """Ask the engine to end the query with this tag; whether there was one."""
        text = "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC"
        session = _Session(self._path)
        try:
            return len(_run(session, text, "TabSeparated", params={"tag": tag}).bytes()) > 0
        finally:
            session.close()


def _open_root(folder: Path, *, max_memory_bytes: int) -> Any:
    path = f"{folders.data_folder(folder)}?max_server_memory_usage={max_memory_bytes}"
    with folders.captured_stderr() as captured:
        try:
            return _Session(path)
        except _DRIVER_ERRORS as error:
            reason = str(error)
    detail = folders.reason_in(captured.text) or reason
    raise StoreUnavailable(f"the data folder {folder} cannot be opened: {detail}")


def _run(
    session: Any,
    text: str,
    form: str = "TabSeparated",
    params: Mapping[str, str] | None = None,
    *,
    explained: Callable[[str], SillokError] = fault,
) -> Any:
    try:
        return session.query(text, form, params=dict(params or {}))
    except _DRIVER_ERRORS as error:
        raise explained(str(error)) from None


def _table(result: Any) -> pa.Table:
    """The answer, in memory of its own, with what the engine read for it in the schema's metadata.

    The driver's `ArrowTable` points into the result, which the driver frees with the session: tables that live
    longer hold other queries' bytes.
    """
    content: bytes = result.bytes()
    table = pa.ipc.open_file(pa.py_buffer(content)).read_all() if content else pa.table({})
    read = {"rows_read": result.storage_rows_read(), "bytes_read": result.storage_bytes_read()}
    return table.replace_schema_metadata({name: str(number) for name, number in read.items()})


def _clause(settings: Mapping[str, str | int]) -> str:
    return "\nSETTINGS " + ", ".join(_assignment(name, value) for name, value in settings.items())


def _assignment(name: str, value: str | int) -> str:
    if isinstance(value, int):
        return f"{checked_name(name)} = {value}"
    if not re.fullmatch(r"[A-Za-z0-9_.-]*", value):
        raise ValueError(f"{value!r} cannot be the value of a setting")
    return f"{checked_name(name)} = '{value}'"
