"""The only way rows get into the logs table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sillok.errors import Overloaded
from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.schema.tables import LOGS
from sillok.store.engine import Engine

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BLOCK_ROWS = 1_000_000  # below the engine's block of 1,048,449 rows: a commit is one block


class Writer:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, rows: pa.Table) -> None:
        """Store `rows` as one block; return when they are on disk and every query sees them.

        Columns: tenant string, sid uint64, ts int64 (ns), line (binary or string), meta map<string, string>,
        batch fixed_size_binary[16], offset uint64, recv int64 (ns, one value a commit), level_hint string
        (a level, `-` for "do not detect one", empty for "detect it in the line").

        The engine's unit of atomicity is the part, one a UTC day: after a kill some days may be stored and
        others not. Ask `stored` before the rows of a batch are sent again.

        Raises:
            Overloaded: more rows than a block takes. Nothing was stored.
            StoreFull: the disk has no room.
        """
        if rows.num_rows > MAX_BLOCK_ROWS:
            raise Overloaded(f"{rows.num_rows} entries at once are more than a commit takes ({MAX_BLOCK_ROWS})")
        if rows.num_rows:
            self._engine.insert(LOGS, rows, columns=logs.STORED)

    def stored(self, tenant: str, batch: bytes, *, time_range: TimeRange) -> dict[int, int]:
        """How many rows of a batch are there already, by UTC day (`ts // 86_400_000_000_000`)."""
        days = self._engine.query(logs.stored_of_batch(tenant, batch, time_range)).to_pydict()
        return dict(zip(days["day"], days["lines"], strict=True))

    def all_batches(self) -> Iterator[tuple[str, bytes]]:
        """(tenant, batch id) of every batch that has a row, in no order; for the filter of a start-up."""
        for part in self._engine.stream(logs.batches()):
            columns = part.to_pydict()
            yield from zip(columns["tenant"], columns["batch"], strict=True)

    def last_recv(self) -> int:
        """The newest receive time there is; 0 when there are no rows."""
        return int(self._engine.query(logs.last_receive())["recv"][0].as_py())
