"""The only way rows get into the logs table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sillok.errors import Overloaded, StoreFull
from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.schema.tables import LOGS
from sillok.store.engine import Engine

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BLOCK_ROWS = 1_000_000  # below the engine's block of 1,048,449 rows: a commit is one block

# A full disk is a state: after a refusal the engine is left alone for this long. Else small commits would slip
# through between large ones that are refused, while merges free and take the last room.
FULL_PAUSE_S = 1.0


class Writer:
    """`clock` counts seconds and never goes back."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._full_until = float("-inf")

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
        if not rows.num_rows:
            return
        if self._clock() < self._full_until:
            raise StoreFull("the disk of the store has no room; nothing of this was stored, reads go on")
        try:
            self._engine.insert(LOGS, rows, columns=logs.STORED)
        except StoreFull:
            self._full_until = self._clock() + FULL_PAUSE_S
            raise

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
