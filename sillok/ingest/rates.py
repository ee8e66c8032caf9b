"""How fast a tenant may send: a token bucket of bytes.

Source:  Loki pkg/distributor/ingestion_rate_strategy.go, golang.org/x/time/rate `AllowN`
Differs: what is stored already does not count.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sillok.model.limits import Limits

MIB = 1024 * 1024

_SECOND_NS = 1_000_000_000


class RateLimiter:
    """All methods may be called from several threads at once."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def allows(self, tenant: str, size: int, limits: Limits, *, now_ns: int) -> bool:
        """Whether `size` bytes may come in now; they are counted when they may."""
        if not limits.ingestion_rate_mb:
            return True
        burst = limits.ingestion_burst_size_mb * MIB
        with self._lock:
            bucket = self._buckets.setdefault(tenant, _Bucket(burst, now_ns))
            bucket.fill(limits.ingestion_rate_mb * MIB, burst, now_ns)
            return bucket.take(size)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_ns: int

    def fill(self, rate: float, burst: float, now_ns: int) -> None:
        elapsed_ns = max(0, now_ns - self.filled_ns)
        self.tokens = min(burst, self.tokens + rate * elapsed_ns / _SECOND_NS)
        self.filled_ns = now_ns

    def take(self, size: int) -> bool:
        if size > self.tokens:
            return False
        self.tokens -= size
        return True
