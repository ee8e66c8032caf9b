"""A ClickHouse server or cluster over HTTP.

Held against a double of ClickHouse's HTTP interface (tests/doubles/clickhouse_http.py); it was not run on a
real ClickHouse server yet.
"""

from __future__ import annotations

import io
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from sillok.errors import QueryCancelled, QueryTimeout, SillokError, StoreUnavailable
from sillok.sql import render
from sillok.sql.expr import Column, Named
from sillok.sql.statement import Statement, Value
from sillok.store import door
from sillok.store.engines.settings import INSERT, READ, checked_name, checked_tag
from sillok.store.faults import code_of, fault, fault_of_insert

DEFAULT_MAX_RESULT_BYTES = 256 * 1024**2
CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 900
_TAIL_BYTES = 16 * 1024  # where an answer that failed on its way ends with the reason

# On a cluster a success means: a majority of the replicas has it.
_CLUSTER_INSERT: dict[str, str | int] = {"distributed_foreground_insert": 1, "insert_quorum": "auto"}

_TYPES = {
    pa.string(): "String",
    pa.large_string(): "String",
    pa.binary(): "String",
    pa.large_binary(): "String",
    pa.bool_(): "Bool",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.int64(): "Int64",
    pa.float64(): "Float64",
}


def open_clickhouse(
    url: str,
    *,
    user: str = "default",
    password: str = "",
    cluster: str | None = None,
    max_result_bytes: int = DEFAULT_MAX_RESULT_BYTES,
    threads: int = 0,
) -> ClickHouseEngine:
    """Connect to a server; `url` is `http://host:8123` or `https://…`. On a `cluster` any of its machines will do.

    Raises:
        StoreUnavailable: it does not answer, or not to this user.
    """
    try:
        client = clickhouse_connect.get_client(
            dsn=url,
            username=user,
            password=password,
            compress="lz4",
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=ANSWER_TIMEOUT_S,
            autogenerate_session_id=False,  # sessions serialise; our statements need none
            form_encode_query_params=True,  # long lists of streams do not fit a URL
            query_retries=0,
        )
    except ClickHouseError as error:
        raise StoreUnavailable(f"ClickHouse at {url} cannot be reached: {_first_line(error)}") from None
    return ClickHouseEngine(client, cluster=cluster, max_result_bytes=max_result_bytes, threads=threads)


class ClickHouseEngine:
    """The `Engine` of one server, or of the cluster that it belongs to."""

    def __init__(self, client: Any, *, cluster: str | None, max_result_bytes: int, threads: int) -> None:
        self._client = client
        self._cluster = cluster
        self._read: dict[str, str | int] = {**READ, "max_result_bytes": max_result_bytes}
        if threads:
            self._read["max_threads"] = threads
        self._insert = INSERT if cluster is None else {**INSERT, **_CLUSTER_INSERT}
        self._state = threading.Condition()
        self._running: Counter[str] = Counter()
        self._cancelled: set[str] = set()
        self._is_closed = False
        self._fresh_tags = itertools.count()

    @property
    def is_embedded(self) -> bool:
        return False

    def execute(self, statement: Statement, *, settings: Mapping[str, str | int] | None = None) -> None:
        door.check(statement)
        with self._registered("sillok-write"), _faults():
            self._client.command(statement.text, parameters=_native(statement.params), settings=dict(settings or {}))

    def query(
        self,
        statement: Statement,
        *,
        tag: str | None = None,
        timeout_s: float | None = None,
        settings: Mapping[str, str | int] | None = None,
    ) -> pa.Table:
        door.check(statement)
        with self._registered(tag) as name, _faults():
            content = self._client.raw_query(
                statement.text,
                parameters=_native(statement.params),
                settings=self._settings(name, timeout_s, settings),
                fmt="ArrowStream",
            )
            return pa.ipc.open_stream(pa.py_buffer(content)).read_all()

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
        with self._registered(tag) as name, _faults():
            answer = _Answer(
                self._client.raw_stream(
                    statement.text,
                    parameters=_native(statement.params),
                    settings=self._settings(name, timeout_s, unbounded),
                    fmt="ArrowStream",
                )
            )
            try:
                yield from pa.ipc.open_stream(answer)
                answer.check_end()
            except GeneratorExit:
                self._kill(name)
                raise
            except (pa.ArrowInvalid, OSError) as error:
                raise fault(answer.reason() or str(error)) from None
            finally:
                answer.close()

    def insert(self, table: str, rows: pa.Table, *, columns: Sequence[Named] | None = None) -> None:
        stored = columns or [Named(Column(name), name) for name in rows.column_names]
        params: dict[str, Value] = {}
        text = render.insert(table, stored, f"input('{_structure(rows.schema)}')", params) + "\nFORMAT ArrowStream"
        with self._registered("sillok-write"), _faults(fault_of_insert):
            self._client.command(text, parameters=_native(params), data=_stream_of(rows), settings=self._insert)

    def cancel(self, tag: str) -> None:
        with self._state:
            if not self._running[tag]:
                return
            self._cancelled.add(tag)
        with _faults():
            self._kill(tag)

    def close(self) -> None:
        with self._state:
            if self._is_closed:
                return
            self._is_closed = True
            tags = [tag for tag in self._running if tag != "sillok-write"]
        for tag in tags:
            with _faults():
                self._kill(tag)
        with self._state:
            self._state.wait_for(lambda: not self._running, timeout=CONNECT_TIMEOUT_S)
        self._client.close()

    def _settings(
        self, tag: str, timeout_s: float | None, settings: Mapping[str, str | int] | None
    ) -> dict[str, str | int]:
        chosen: dict[str, str | int] = {**self._read, **(settings or {}), "log_comment": tag}
        if timeout_s is not None:
            chosen["max_execution_time"] = f"{max(timeout_s, 0.001):.3f}"
        return chosen

    @contextmanager
    def _registered(self, tag: str | None = None) -> Iterator[str]:
        name = checked_tag(tag or f"sillok-read-{next(self._fresh_tags)}")
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

    def _kill(self, tag: str) -> None:
        everywhere = "" if self._cluster is None else f" ON CLUSTER {self._cluster}"
        text = f"KILL QUERY{everywhere} WHERE Settings['log_comment'] = {{tag:String}} ASYNC"
        self._client.command(text, parameters={"tag": tag})


class _Answer(io.RawIOBase):
    """The body of a streamed answer; remembers its end, where ClickHouse writes why it broke off."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self._response = response
        self._tail = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content: bytes = self._response.read(len(buffer))
        buffer[: len(content)] = content
        self._tail = (self._tail + content)[-_TAIL_BYTES:]
        return len(content)

    def check_end(self) -> None:
        """Nothing follows a whole answer.

        Raises:
            OSError: something does: the exception that broke it off.
        """
        self._tail = b""
        if self.reason():
            raise OSError("the answer was broken off")

    def reason(self) -> str:
        """The exception at the end of what was read and what is left; empty when there is none."""
        self._tail = (self._tail + self._response.read(_TAIL_BYTES))[-_TAIL_BYTES:]
        text = self._tail.decode(errors="replace")
        start = text.rfind("Code: ")
        return text[start:] if start >= 0 else ""

    def close(self) -> None:
        if not self.closed:
            self._response.close()
        super().close()


@contextmanager
def _faults(explained: Callable[[str], SillokError] = fault) -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        text = str(error)
        if explained is fault and code_of(text) == 0 and "timed out" in text:
            raise QueryTimeout("ClickHouse did not answer in time") from None
        raise explained(text) from None


def _native(params: Mapping[str, Value]) -> dict[str, Any]:
    """Values as the driver escapes them itself; bytes travel as hexadecimal digits."""
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: Value) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return value.hex()
        case tuple():
            return list(value)
        case _:
            return value


def _structure(schema: pa.Schema) -> str:
    return ", ".join(f"{checked_name(field.name)} {_type(field.type)}" for field in schema)


def _type(kind: pa.DataType) -> str:
    """ClickHouse's name of an Arrow type that we send."""
    if pa.types.is_fixed_size_binary(kind):
        return f"FixedString({kind.byte_width})"
    if pa.types.is_map(kind):
        return f"Map({_type(kind.key_type)}, {_type(kind.item_type)})"
    return _TYPES[kind]


def _stream_of(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0]
