"""The positions file: how far each source was read, as of one moment of the spool.

Written as a whole (temporary file, fsync, rename, fsync of the folder), with a checksum. It need not be
written often: the spool carries the positions of every batch, and recovery plays those that came later.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

VERSION = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was true when batch `spooled` was the last in the spool and `settled` the last one answered.

    `positions` is by position id; what a position says is its source's business.
    """

    agent: str
    spooled: int = 0
    settled: int = 0
    positions: dict[str, Any] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict)


class DamagedPositions(ValueError):
    """The positions file is not what was written."""


def load(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`; None when there is none.

    Raises:
        DamagedPositions: it is there, but cannot be trusted.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    crc, _, body = data.partition(b"\n")
    if crc != b"%08x" % zlib.crc32(body):
        raise DamagedPositions("its checksum is wrong")
    kept = orjson.loads(body)
    if kept.get("version") != VERSION:
        raise DamagedPositions(f"its version is {kept.get('version')!r}, not {VERSION}")
    return Checkpoint(kept["agent"], kept["spooled"], kept["settled"], kept["positions"], kept["ledger"])


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file; when this returns, it is on disk."""
    body = orjson.dumps(
        {
            "version": VERSION,
            "agent": checkpoint.agent,
            "spooled": checkpoint.spooled,
            "settled": checkpoint.settled,
            "positions": checkpoint.positions,
            "ledger": checkpoint.ledger,
        }
    )
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(b"%08x\n" % zlib.crc32(body) + body)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
