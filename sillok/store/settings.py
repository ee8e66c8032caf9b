"""How the store is kept: settings of the whole server, not of a tenant."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """`min_free_bytes`: below this much free disk, pushes are refused (`StoreFull`) and reads go on.

    `cluster`: the name of the ClickHouse cluster that the tables are spread over; None on one machine.
    """

    min_free_bytes: int = 1024 * MIB
    cluster: str | None = None
