"""A process that pushes batches of 30 days into a real store until it is killed; run by `test_kills.py`.

python -m tests.ingest.pusher FOLDER FIRST       push batches FIRST, FIRST + 1, …; a line of JSON for each
python -m tests.ingest.pusher FOLDER --count     how often each line is stored: a line of JSON
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from sillok.ingest.ledger import DAY_NS
from sillok.ingest.service import Ingest
from sillok.model.limits import Limits
from sillok.model.push import Pushed
from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.store.engine import Engine
from sillok.store.engines.chdb import open_chdb
from sillok.store.settings import StoreSettings
from sillok.store.streams import StreamIndex
from sillok.store.tables import Tables
from sillok.store.writer import Writer
from sillok.wire.loki_push import decode_protobuf, encode_protobuf

TENANT = "t"
DAYS = 30
LINES_A_DAY = 40
IN_FLIGHT = 6
LAST_DAY = 20_000
SENT_AGAIN = 3  # batches that were stored before, sent again after every start


def batch(number: int) -> bytes:
    return number.to_bytes(16, "big")


def pushed(number: int) -> Pushed:
    """The batch of this number: always the same, entries of all days mixed."""
    entries = [
        ((LAST_DAY - day) * DAY_NS + line, f"{number} {day} {line}".encode(), (), None)
        for line in range(LINES_A_DAY)
        for day in range(DAYS)
    ]
    return decode_protobuf(encode_protobuf([(f'{{app="a{number % 5}"}}', entries)]))


def opened(folder: Path) -> Engine:
    engine = open_chdb(folder, max_memory_bytes=1024**3)
    Tables(engine, StoreSettings(min_free_bytes=0)).migrate()
    return engine


async def push_for_ever(folder: Path, first: int) -> None:
    engine = opened(folder)
    streams = StreamIndex(engine)
    streams.load()
    ingest = Ingest(writer=Writer(engine), streams=streams, limits=lambda _: Limits())
    for number in range(max(0, first - SENT_AGAIN), first):
        await push(ingest, number)
    numbers = iter(range(first, 1_000_000))
    await asyncio.gather(*(push_in_turn(ingest, numbers) for _ in range(IN_FLIGHT)))


async def push_in_turn(ingest: Ingest, numbers: object) -> None:
    for number in numbers:  # type: ignore[attr-defined]
        await push(ingest, number)


async def push(ingest: Ingest, number: int) -> None:
    receipt = await ingest.push(TENANT, pushed(number), batch=batch(number), is_named=True)
    tell({"batch": number, "stored": receipt.stored, "duplicates": receipt.duplicates})


def count(folder: Path) -> None:
    engine = opened(folder)
    rows = engine.query(logs.select_lines(TENANT, TimeRange(0, (LAST_DAY + 1) * DAY_NS)))
    times: dict[str, int] = {}
    for line in rows.column("line").to_pylist():
        times[line] = times.get(line, 0) + 1
    engine.close()
    tell(times)


def tell(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if sys.argv[2] == "--count":
        count(where)
    else:
        asyncio.run(push_for_ever(where, int(sys.argv[2])))
