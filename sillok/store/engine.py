"""What the house asks of a database engine. Two implementations: `engines/chdb`, `engines/clickhouse`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from sillok.sql.expr import Named
from sillok.sql.statement import Statement

if TYPE_CHECKING:
    import pyarrow as pa


class Engine(Protocol):
    """Runs statements. Every method blocks and is called on a worker thread, never on an event loop.

    All methods may be called from several threads at once. Arrow tables that go in are not mutated;
    those that come out belong to the caller. Strings come back as `string` (bytes that are not UTF-8
    included, unchecked), so decode with errors="replace".

    Raises (every method):
        StoreFull: the disk has no room.
        StoreUnavailable: the engine is closed, down or did not answer.
        QueryTimeout: `timeout_s` passed.
        QueryRejected: over a limit of rows, bytes or memory.
        QueryCancelled: `cancel(tag)` was called.
    """

    @property
    def is_embedded(self) -> bool:
        """Whether the data lives in a folder of this process (chDB), not in a server (ClickHouse)."""

    def execute(self, statement: Statement, *, settings: Mapping[str, str | int] | None = None) -> None:
        """Run a statement that answers nothing: DDL, mutations."""

    def query(
        self,
        statement: Statement,
        *,
        tag: str | None = None,
        timeout_s: float | None = None,
        settings: Mapping[str, str | int] | None = None,
    ) -> pa.Table:
        """The whole answer as one Arrow table. The answer's bytes are bounded by `max_result_bytes`."""

    def stream(
        self,
        statement: Statement,
        *,
        tag: str | None = None,
        timeout_s: float | None = None,
        settings: Mapping[str, str | int] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The answer as record batches, as the engine makes them. Closing the iterator cancels."""

    def insert(self, table: str, rows: pa.Table, *, columns: Sequence[Named] | None = None) -> None:
        """Store `rows` as one block; return when it is on disk (parts and directories fsynced).

        `columns` says what is stored, as expressions over the columns of `rows`; without it they are stored
        as they are. Columns are matched by name; those that are not given take their DEFAULT expression.
        """

    def cancel(self, tag: str) -> None:
        """End the query with this tag, if it runs. Does not wait for its end."""

    def close(self) -> None:
        """End running queries, wait for them, close. Idempotent."""
