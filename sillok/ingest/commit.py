"""One group commit: many waiting batches become one block of rows, and each gets its outcome.

Blocking, so on a worker thread: labels → decode (once for all) → limits → ledger → rows → store.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from sillok import telemetry
from sillok.errors import PushSyntaxError, SillokError
from sillok.ingest import columns as column
from sillok.ingest.batches import Batch, entry_count
from sillok.ingest.columns import Bools, Columns, Ints
from sillok.ingest.ledger import DAY_NS, Ledger
from sillok.ingest.limits import refusals, truncated
from sillok.ingest.metadata import settled
from sillok.ingest.rates import MIB, RateLimiter
from sillok.ingest.streams import Admitted, Barred, StreamJudge
from sillok.model.labels import LabelSet
from sillok.model.limits import Limits
from sillok.model.push import NO_TIME, EntryColumns, RawEntries, Receipt
from sillok.model.timerange import TimeRange
from sillok.wire.loki_entries import NO_OFFSET

MAX_TENANTS_REMEMBERED = 1000  # whose verdicts on label sets are kept
MAX_ERROR_TEXTS = 20  # different texts in one answer; Loki has no bound


class RowWriter(Protocol):
    """What a commit asks of the store (`store.writer.Writer`)."""

    def append(self, rows: pa.Table) -> None:
        """Store rows as one block, durably and visibly."""


class KnownStreams(Protocol):
    """What a commit asks of the index of streams (`store.streams.StreamIndex`)."""

    def add(self, tenant: str, streams_of_push: Mapping[int, LabelSet]) -> None:
        """Store and index the streams that are new; known ones cost nothing."""

    def known(self, tenant: str, sid: int) -> bool:
        """Whether the stream is there already."""

    def count(self, tenant: str) -> int:
        """How many streams the tenant has."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit that is stored: its receive time, which no other commit has, and whose entries it holds."""

    recv: int
    tenants: frozenset[str]


Outcome: TypeAlias = Receipt | SillokError


class Committer:
    """Commits groups of batches. `commit` may run on several threads at once."""

    def __init__(
        self,
        *,
        writer: RowWriter,
        streams: KnownStreams,
        ledger: Ledger,
        limits: Callable[[str], Limits],
        clock: Callable[[], int],
        last_recv: int,
    ) -> None:
        self._writer = writer
        self._streams = streams
        self._ledger = ledger
        self._limits = limits
        self._clock = clock
        self._last_recv = last_recv
        self._rates = RateLimiter()
        self._recv_lock = threading.Lock()
        self._judges: dict[str, StreamJudge] = {}

    def commit(self, group: Sequence[Batch]) -> tuple[list[Outcome], Committed | None]:
        """Store the group; one outcome a batch, in order.

        An error among the outcomes means that nothing of the batch was stored, or that it is not known
        (the engine failed half-way); then the ledger finds out when the batch is sent again.
        """
        accounts = [_Account(batch) for batch in group]
        tables: dict[str, pa.Table] = {}
        for tenant, of_tenant in _by_tenant(accounts).items():
            try:
                rows = self._rows(tenant, of_tenant)
            except SillokError as error:
                _fail(of_tenant, error)
                continue
            if rows is not None:
                tables[tenant] = rows
        committed = self._store(tables, accounts) if tables else None
        for account in accounts:
            account.count()
        return [account.outcome() for account in accounts], committed

    def _store(self, tables: Mapping[str, pa.Table], accounts: Sequence[_Account]) -> Committed | None:
        recv = self._next_recv()
        rows = pa.concat_tables(tables.values())
        rows = rows.append_column("recv", pa.array(np.full(rows.num_rows, recv, np.int64)))
        try:
            with telemetry.COMMIT_SECONDS.time():
                self._writer.append(rows)
        except SillokError as error:
            _fail([account for account in accounts if account.stored], error)
            return None
        telemetry.COMMITS.inc()
        return Committed(recv, frozenset(tables))

    def _next_recv(self) -> int:
        with self._recv_lock:
            self._last_recv = max(self._last_recv + 1, self._clock())
            return self._last_recv

    def _rows(self, tenant: str, accounts: Sequence[_Account]) -> pa.Table | None:
        """What is to be stored of a tenant's batches, without the receive time; None when there is nothing.

        The accounts are settled as if it were stored already.
        """
        judge = self._judge(tenant)
        columns, streams = _decoded(self._admitted(judge, accounts))
        columns = truncated(_with_times(columns, self._clock()), judge.limits)
        kept = self._within_limits(columns, streams, judge.limits)
        kept &= ~self._stored_already(columns, kept, streams)
        columns = self._within_rate(columns.keep(kept), streams, judge.limits)
        if not len(columns):
            return None
        self._streams.add(tenant, _streams_in(columns, streams))
        for account, entries in _entries_of(columns, streams).items():
            account.stored = entries.size
            account.stored_bytes = int(columns.line_bytes[entries].sum())
            self._ledger.mark(tenant, account.batch.id)
        return _table(tenant, columns, streams, judge.limits)

    def _judge(self, tenant: str) -> StreamJudge:
        limits = self._limits(tenant)
        judge = self._judges.get(tenant)
        if judge is None or judge.limits != limits:
            if len(self._judges) >= MAX_TENANTS_REMEMBERED:
                self._judges.clear()
            judge = self._judges[tenant] = StreamJudge(tenant, limits)
        return judge

    def _admitted(self, judge: StreamJudge, accounts: Sequence[_Account]) -> list[_Stream]:
        streams: list[_Stream] = []
        room = self._room_for_streams(accounts[0].batch.tenant, judge.limits)
        for account in accounts:
            first = account.batch.first
            for pushed in account.batch.streams:
                count = entry_count(pushed)
                verdict = room.judge(judge.judge(pushed.labels)) if count else None
                match verdict:
                    case Admitted():
                        streams.append(_Stream(account, verdict, pushed.entries, first))
                    case Barred():
                        account.refuse(verdict.reason, verdict.message, entries=count)
                first += count
        return streams

    def _room_for_streams(self, tenant: str, limits: Limits) -> _RoomForStreams:
        return _RoomForStreams(self._streams, tenant, limits.max_global_streams_per_user)

    def _within_limits(self, columns: Columns, streams: Sequence[_Stream], limits: Limits) -> Bools:
        kept = np.ones(len(columns), np.bool_)
        admitted = [stream.admitted for stream in streams]
        for refusal in refusals(columns, admitted, limits, now_ns=self._clock()):
            kept[refusal.entry] = False
            account = streams[columns.stream[refusal.entry]].account
            account.refuse(refusal.reason, refusal.message, entries=1)
        return kept

    def _within_rate(self, columns: Columns, streams: Sequence[_Stream], limits: Limits) -> Columns:
        """The columns without the batches that would be more than the tenant's rate."""
        if not limits.ingestion_rate_mb:
            return columns
        kept = np.ones(len(columns), np.bool_)
        sizes = columns.sizes
        for account, entries in _entries_of(columns, streams).items():
            size = int(sizes[entries].sum())
            if not self._rates.allows(account.batch.tenant, size, limits, now_ns=self._clock()):
                kept[entries] = False
                account.refuse_for_rate(entries=entries.size, size=size, limits=limits)
        return columns.keep(kept)

    def _stored_already(self, columns: Columns, kept: Bools, streams: Sequence[_Stream]) -> Bools:
        """The entries that an earlier push of the same batch has stored."""
        is_stored = np.zeros(len(columns), np.bool_)
        accounts = dict.fromkeys(stream.account for stream in streams)
        asked = [account for account in accounts if not self._is_surely_new(account.batch)]
        if not asked:
            return is_stored
        entries_of = _entries_of(columns, streams)
        for account in asked:
            entries = entries_of[account]
            times = columns.time_ns[entries]
            span = TimeRange(int(times.min()), int(times.max()) + 1)
            days = self._ledger.stored_days(account.batch.tenant, account.batch.id, time_range=span)
            is_stored[entries] = np.isin(times // DAY_NS, list(days))
            account.duplicates = int((is_stored & kept)[entries].sum())
        return is_stored

    def _is_surely_new(self, batch: Batch) -> bool:
        return self._ledger.is_surely_new(batch.tenant, batch.id)


@dataclass(slots=True, eq=False)
class _Account:
    """What becomes of a batch, while its commit goes on."""

    batch: Batch
    stored: int = 0
    stored_bytes: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    failure: SillokError | None = None

    def refuse(self, reason: str, message: str, *, entries: int) -> None:
        self.refused[reason] += entries
        self.messages[message] += 1

    def refuse_for_rate(self, *, entries: int, size: int, limits: Limits) -> None:
        """Loki then says nothing of other errors."""
        self.messages.clear()
        rate = int(limits.ingestion_rate_mb * MIB)
        text = (
            f"ingestion rate limit exceeded for user {self.batch.tenant} (limit: {rate} bytes/sec) while attempting "
            f"to ingest '{entries}' lines totaling '{size}' bytes, reduce log volume or contact your Loki "
            "administrator to see if the limit can be increased"
        )
        self.refuse("rate_limited", text, entries=entries)

    def outcome(self) -> Outcome:
        if self.failure is not None:
            return self.failure
        return Receipt(self.batch.id, self.stored, self.duplicates, dict(self.refused), error_text(self.messages))

    def count(self) -> None:
        if self.failure is not None:
            return
        tenant = self.batch.tenant
        telemetry.INGEST_LINES.labels(tenant).inc(self.stored)
        telemetry.INGEST_BYTES.labels(tenant).inc(self.stored_bytes)
        telemetry.INGEST_DUPLICATES.labels(tenant).inc(self.duplicates)
        for reason, entries in self.refused.items():
            telemetry.INGEST_REFUSED.labels(tenant, reason).inc(entries)


@dataclass(frozen=True, slots=True)
class _Stream:
    """An admitted stream of a batch; `first` is the ordinal in its push of its first entry."""

    account: _Account
    admitted: Admitted
    entries: EntryColumns | RawEntries
    first: int


class _RoomForStreams:
    """Bars new streams over the tenant's number of streams."""

    def __init__(self, known: KnownStreams, tenant: str, most: int) -> None:
        self._known = known
        self._tenant = tenant
        self._most = most
        self._new: set[int] = set()

    def judge(self, verdict: Admitted | Barred) -> Admitted | Barred:
        if not self._most or isinstance(verdict, Barred) or self._has(verdict.sid):
            return verdict
        if self._known.count(self._tenant) + len(self._new) < self._most:
            self._new.add(verdict.sid)
            return verdict
        return Barred(
            "stream_limit",
            f"maximum active stream limit exceeded when trying to create stream {verdict.text}, reduce the number of "
            "active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the "
            f"limit can be increased, user: '{self._tenant}'",
        )

    def _has(self, sid: int) -> bool:
        return sid in self._new or self._known.known(self._tenant, sid)


def error_text(messages: Mapping[str, int]) -> str | None:
    """Loki's text for several errors: equal ones are counted.

    Source: Loki pkg/util/errors.go `GroupedErrors.Error`
    """
    if not messages:
        return None
    is_one = len(messages) == 1 and all(count == 1 for count in messages.values())
    texts = [text if is_one else f"{count} errors like: {text}" for text, count in messages.items()]
    if len(texts) > MAX_ERROR_TEXTS:
        texts[MAX_ERROR_TEXTS:] = [f"{len(texts) - MAX_ERROR_TEXTS} other errors"]
    return "; ".join(texts)


def _fail(accounts: Iterable[_Account], error: SillokError) -> None:
    for account in accounts:
        account.failure = account.failure or error


def _by_tenant(accounts: Sequence[_Account]) -> dict[str, list[_Account]]:
    tenants: dict[str, list[_Account]] = {}
    for account in accounts:
        tenants.setdefault(account.batch.tenant, []).append(account)
    return tenants


def _decoded(streams: list[_Stream]) -> tuple[Columns, list[_Stream]]:
    """The entries of all streams; batches that cannot be decoded fail, and their streams are left out."""
    try:
        return column.decode([stream.entries for stream in streams]), streams
    except PushSyntaxError:
        for stream in streams:
            _decode_alone(stream)
        sound = [stream for stream in streams if stream.account.failure is None]
        return column.decode([stream.entries for stream in sound]), sound


def _with_times(columns: Columns, now_ns: int) -> Columns:
    """The entries without a time of their own get that of their receipt."""
    has_none = columns.time_ns == NO_TIME
    return replace(columns, time_ns=np.where(has_none, now_ns, columns.time_ns)) if has_none.any() else columns


def _decode_alone(stream: _Stream) -> None:
    try:
        column.decode([stream.entries])
    except PushSyntaxError as error:
        stream.account.failure = error


def _streams_in(columns: Columns, streams: Sequence[_Stream]) -> dict[int, LabelSet]:
    admitted = (streams[index].admitted for index in np.unique(columns.stream).tolist())
    return {stream.sid: stream.labels for stream in admitted}


def _entries_of(columns: Columns, streams: Sequence[_Stream]) -> dict[_Account, Ints]:
    """The places of each account's entries, for accounts that have any."""
    accounts = list(dict.fromkeys(stream.account for stream in streams))
    place = {account: index for index, account in enumerate(accounts)}
    owner = np.array([place[stream.account] for stream in streams], np.int64)[columns.stream]
    order = np.argsort(owner, kind="stable")
    borders = np.searchsorted(owner[order], np.arange(len(accounts) + 1))
    return {
        account: order[borders[index] : borders[index + 1]]
        for index, account in enumerate(accounts)
        if borders[index] < borders[index + 1]
    }


def _table(tenant: str, columns: Columns, streams: Sequence[_Stream], limits: Limits) -> pa.Table:
    columns, level_hint = settled(columns, [stream.admitted.level for stream in streams], limits)
    count = len(columns)
    stream = pa.array(columns.stream)
    sids = pa.array([stream.admitted.sid for stream in streams], pa.uint64())
    batches = pa.array([stream.account.batch.id for stream in streams], pa.binary(16))
    first = np.array([stream.first for stream in streams], np.int64)[columns.stream]
    offset = np.where(columns.offset == NO_OFFSET, first + columns.ordinal, columns.offset)
    borders = np.searchsorted(columns.pair_entry, np.arange(count + 1)).astype(np.int32)
    names, values = (_as_text(column) for column in (columns.name, columns.value))
    return pa.table(
        {
            "tenant": pa.repeat(pa.scalar(tenant), count),
            "sid": sids.take(stream),
            "ts": pa.array(columns.time_ns),
            "line": columns.line,
            "meta": pa.MapArray.from_arrays(pa.array(borders), names, values),
            "batch": batches.take(stream),
            "offset": pa.array(offset.astype(np.uint64)),
            "level_hint": level_hint,
        }
    )


def _as_text(column: pa.Array) -> pa.Array:
    """The same bytes as Arrow strings, unchecked: the engine's strings are bytes."""
    return column.view(pa.string())
