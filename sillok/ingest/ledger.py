"""Which entries of a batch are stored already: once is the rule, however often a batch is sent.

The data is the ledger: rows carry the id of their batch. The engine stores a commit as one part a UTC day,
so after a crash some days of a batch may be there and others not; hence the question is asked per (batch,
day), and a day that has any row of the batch has them all. A filter in memory knows the batches that are
surely new, which are nearly all, so that the data is asked about the few others.
"""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Iterable
from typing import Protocol

from sillok.model.timerange import TimeRange

DAY_NS = 86_400_000_000_000

# 32 MiB of memory: at 10 million batches one in 1,500 new ones is asked about in vain, at 40 million one in ten.
FILTER_BITS = 1 << 28
_PROBES = 7
LOADED_AT_ONCE = 1000
LOAD_PAUSE_S = 0.001


class StoredBatches(Protocol):
    """What the ledger asks of the store (`store.writer.Writer`)."""

    def stored(self, tenant: str, batch: bytes, *, time_range: TimeRange) -> dict[int, int]:
        """Rows of a batch that are stored, by UTC day (time // DAY_NS)."""

    def all_batches(self) -> Iterable[tuple[str, bytes]]:
        """Every (tenant, batch) that has a row."""


class Ledger:
    """All methods may be called from several threads at once.

    Until `load` has ended, no batch is surely new and the data is asked about each.
    """

    def __init__(self, store: StoredBatches, *, filter_bits: int = FILTER_BITS) -> None:
        self._store = store
        self._seen = _Filter(filter_bits)
        self._is_loaded = threading.Event()

    def load(self, *, stop: threading.Event) -> None:
        """Learn the batches that are stored, unless `stop` is set. What is marked meanwhile is not forgotten."""
        for count, (tenant, batch) in enumerate(self._store.all_batches()):
            # A pause lets the event loop have the interpreter: there may be millions.
            if count % LOADED_AT_ONCE == 0 and stop.wait(LOAD_PAUSE_S):
                return
            self._seen.add(tenant, batch)
        self._is_loaded.set()

    def is_surely_new(self, tenant: str, batch: bytes) -> bool:
        """Whether no row of this batch is stored. False says nothing."""
        return self._is_loaded.is_set() and not self._seen.may_hold(tenant, batch)

    def stored_days(self, tenant: str, batch: bytes, *, time_range: TimeRange) -> frozenset[int]:
        """The UTC days of which the entries of this batch are stored; asks the data."""
        return frozenset(self._store.stored(tenant, batch, time_range=time_range))

    def mark(self, tenant: str, batch: bytes) -> None:
        """Remember that rows of this batch may be stored from now on: to be called before they are."""
        self._seen.add(tenant, batch)


class _Filter:
    """A Bloom filter over (tenant, batch): no false "is not there"."""

    def __init__(self, bits: int) -> None:
        self._bits = mmap.mmap(-1, bits // 8)  # zeros that take no memory until they are touched
        self._mask = bits - 1
        self._lock = threading.Lock()  # setting a bit reads and writes a byte

    def add(self, tenant: str, batch: bytes) -> None:
        places = self._places(tenant, batch)
        with self._lock:
            for place in places:
                self._bits[place >> 3] |= 1 << (place & 7)

    def may_hold(self, tenant: str, batch: bytes) -> bool:
        return all(self._bits[place >> 3] >> (place & 7) & 1 for place in self._places(tenant, batch))

    def _places(self, tenant: str, batch: bytes) -> list[int]:
        digest = hashlib.blake2b(tenant.encode() + b"\0" + batch, digest_size=16).digest()
        first, step = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") | 1
        return [(first + probe * step) & self._mask for probe in range(_PROBES)]
