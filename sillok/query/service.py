"""The query service: parse → check → plan → select streams → ask the engine → encode, each step elsewhere.

Everything but the waiting happens on worker threads; large results are encoded in row workers.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sillok.errors import BadRequest, NotFound, QueryRejected
from sillok.logql import ast
from sillok.logql.checks import check, check_selector
from sillok.logql.evaluate import Matrix, Result, evaluate, everywhere
from sillok.logql.parser import parse, parse_selector
from sillok.logql.plan import plan_log
from sillok.model.labels import LabelSet
from sillok.model.limits import Limits
from sillok.model.timerange import TimeRange
from sillok.query import volume
from sillok.query.jobs import Job, Jobs
from sillok.query.reading import Reading, Selected, read_entries
from sillok.query.rows import EncodeRows, encode_in_time, encode_rows
from sillok.query.samples import LogWindows, Steps, encode_points
from sillok.query.tail import Commit, Tails
from sillok.query.workers import RowWorkers
from sillok.schema import logs
from sillok.store.engine import Engine
from sillok.store.streams import StreamIndex
from sillok.text import duration
from sillok.wire import loki_result
from sillok.wire.loki_result import Stats

if TYPE_CHECKING:
    import pyarrow as pa

SECOND_NS = 1_000_000_000
MAX_STEPS = 11_000  # Loki's and Prometheus' bound of points in one series
# Below this encoding takes about a millisecond; a worker's pipes take as long.
ROWS_FOR_A_WORKER = 500
POINTS_FOR_A_WORKER = 1000

Listen = Callable[[Callable[[Commit], None]], Callable[[], None]]

INSTANT_LOGS = "log queries are not supported as an instant query type, please change your query to a range query type"


class QueryService:
    """Answers with bodies in Loki's shape. Every method ends its work when it is cancelled.

    Raises (every method):
        QuerySyntaxError, BadRequest: the query, or a parameter, is wrong.
        QueryRejected: over a limit of the tenant.
        QueryTimeout: the tenant's `query_timeout` passed.
        Overloaded: too many queries wait.
        StoreUnavailable: the engine is down, or this service closed.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        streams: StreamIndex,
        limits: Callable[[str], Limits],
        listen: Listen,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._streams = streams
        self._limits = limits
        self._clock = clock
        self._jobs = Jobs(engine)
        self._workers = RowWorkers()
        self._tails = Tails(
            jobs=self._jobs,
            streams=streams,
            limits=limits,
            listen=listen,
            clock=clock,
            encode=partial(self._encode, encode_in_time),
        )

    async def query_range(
        self,
        tenant: str,
        query: str,
        *,
        start_ns: int,
        end_ns: int,
        limit: int,
        newest_first: bool,
        step_ns: int | None,
        interval_ns: int | None,
        categorize: bool = False,
    ) -> bytes:
        """Entries with start <= t < end, or a matrix at start, start + step, … <= end."""

        def work(job: Job) -> bytes:
            expr = _checked(query)
            if isinstance(expr, ast.LogQuery):
                self._check_limit(tenant, limit)
                time_range = self._time_range(tenant, start_ns, end_ns)
                plan = plan_log(expr)
                reading = Reading(tenant, plan, time_range, limit, newest_first, interval_ns or 0)
                return self._logs(job, reading, categorize=categorize)
            time_range = self._time_range(tenant, start_ns, end_ns)
            return self._matrix(job, tenant, expr, _steps(time_range, step_ns or _default_step(time_range)))

        return await self._run("query_range", tenant, work)

    async def query(
        self,
        tenant: str,
        query: str,
        *,
        time_ns: int,
        limit: int,
        newest_first: bool,
        categorize: bool = False,
    ) -> bytes:
        """A vector or scalar at one time. Log queries are refused, as in Loki, whatever the other parameters say."""

        def work(job: Job) -> bytes:
            expr = _checked(query)
            if isinstance(expr, ast.LogQuery):
                raise BadRequest(INSTANT_LOGS)
            self._check_limit(tenant, limit)
            return self._vector(job, tenant, expr, time_ns)

        return await self._run("query", tenant, work)

    async def labels(self, tenant: str, *, start_ns: int, end_ns: int, query: str | None) -> bytes:
        """Names of labels of streams that have an entry in the range."""

        def work(job: Job) -> bytes:
            active = self._active(job, tenant, TimeRange(start_ns, end_ns), _selector(query))
            return loki_result.labels_body(sorted({name for labels in active for name, _ in labels}))

        return await self._run("labels", tenant, work)

    async def label_values(self, tenant: str, name: str, *, start_ns: int, end_ns: int, query: str | None) -> bytes:
        """Values of one label of streams that have an entry in the range."""

        def work(job: Job) -> bytes:
            active = self._active(job, tenant, TimeRange(start_ns, end_ns), _selector(query))
            return loki_result.labels_body(sorted({value for labels in active for n, value in labels if n == name}))

        return await self._run("label_values", tenant, work)

    async def series(self, tenant: str, matchers: Sequence[str], *, start_ns: int, end_ns: int) -> bytes:
        """Label sets of streams with an entry in the range that one of the selectors matches; none: all."""

        def work(job: Job) -> bytes:
            selectors = [_selector(text, may_be_everything=True) for text in matchers] or [None]
            time_range = TimeRange(start_ns, end_ns)
            found = {labels for one in selectors for labels in self._active(job, tenant, time_range, one)}
            return loki_result.series_body(sorted(found))

        return await self._run("series", tenant, work)

    async def index_stats(self, tenant: str, query: str, *, start_ns: int, end_ns: int) -> bytes:
        """Streams, entries and bytes of a selector. There are no chunks here: the number is that of the streams."""

        def work(job: Job) -> bytes:
            sids = self._select(tenant, _selector(query))
            if not sids:
                return loki_result.index_stats_body(streams=0, chunks=0, size_bytes=0, entries=0)
            row = job.query(logs.stats(tenant, TimeRange(start_ns, end_ns), sids)).to_pylist()[0]
            return loki_result.index_stats_body(
                streams=row["streams"], chunks=row["streams"], size_bytes=row["bytes"] or 0, entries=row["entries"]
            )

        return await self._run("index_stats", tenant, work)

    async def index_volume(
        self,
        tenant: str,
        query: str,
        *,
        start_ns: int,
        end_ns: int,
        limit: int,
        target_labels: Sequence[str],
        aggregate_by: str,
    ) -> bytes:
        """Bytes by series (`aggregate_by` "series") or by label name ("labels"), the largest first."""

        def work(job: Job) -> bytes:
            limits = self._limits(tenant)
            if not limits.volume_enabled:
                raise NotFound("volume is not enabled for this tenant (limits.volume_enabled)")
            selector = _selector(query, may_be_everything=True)
            assert selector is not None
            sizes = self._sizes(job, tenant, TimeRange(start_ns, end_ns), selector)
            if aggregate_by == "labels":
                volumes = volume.volumes_by_label(sizes, target_labels)
            else:
                volumes = volume.volumes_by_series(sizes, selector, target_labels)
            kept = volume.largest(volumes, min(limit, limits.volume_max_series))
            samples = [(labels, (end_ns, float(size))) for labels, size in kept]
            return loki_result.vector_body(samples, _stats(job, len(kept)))

        return await self._run("index_volume", tenant, work)

    async def histogram(self, tenant: str, query: str, *, start_ns: int, end_ns: int, step_ns: int) -> bytes:
        """Ours: entries by level and bucket, `{"step_ns", "levels": {"error": [[bucket's start, entries], …]}}`.

        Buckets begin at multiples of the step; one that holds no entry is not there.
        """

        def work(job: Job) -> bytes:
            expr = _checked(query)
            if not isinstance(expr, ast.LogQuery):
                raise BadRequest("only a log query has a histogram")
            if step_ns <= 0:
                raise BadRequest("step must be a positive duration")
            time_range = self._time_range(tenant, start_ns, end_ns)
            _check_steps(time_range, step_ns)
            plan = plan_log(expr)
            sids = self._streams.select(tenant, plan.matchers)
            levels: dict[str, list[tuple[int, int]]] = {}
            if sids:
                statement = logs.volume(
                    tenant, time_range, sids, by_sid=False, step_ns=step_ns, by_level=True, where=plan.where
                )
                for row in job.query(statement).sort_by("bucket").to_pylist():
                    levels.setdefault(row["level"] or "unknown", []).append((row["bucket"], row["lines"]))
            return loki_result.go_json({"step_ns": step_ns, "levels": dict(sorted(levels.items()))})

        return await self._run("histogram", tenant, work)

    def tail(
        self,
        tenant: str,
        query: str,
        *,
        start_ns: int,
        limit: int,
        delay_for_s: float,
        categorize: bool = False,
    ) -> AsyncIterator[bytes]:
        """Frames in Loki's shape: the newest `limit` entries since `start_ns`, then each entry as it is committed.

        What is wrong with the query is raised here, not by the iterator.
        """
        expr = _checked(query)
        if not isinstance(expr, ast.LogQuery):
            raise BadRequest("only log selector is supported")
        self._check_limit(tenant, limit)
        return self._tails.open(
            tenant,
            plan_log(expr),
            start_ns=start_ns,
            limit=limit,
            delay_ns=int(delay_for_s * SECOND_NS),
            categorize=categorize,
        )

    async def close(self) -> None:
        """End tails and queries, and the row workers. Idempotent."""
        self._tails.close()
        await self._jobs.close()
        self._workers.close()

    async def _run(self, kind: str, tenant: str, work: Callable[[Job], bytes]) -> bytes:
        return await self._jobs.run(kind, work, timeout_s=self._limits(tenant).query_timeout_ns / SECOND_NS)

    # Steps that several answers share. They run on worker threads.

    def _logs(self, job: Job, reading: Reading, *, categorize: bool) -> bytes:
        selected = Selected.by(self._streams, reading.tenant, reading.plan.matchers)
        tables = read_entries(job, reading, selected)
        result = self._encode(encode_rows, job, reading.tenant, tables, categorize=categorize)
        returned = sum(table.num_rows for table in tables)
        return loki_result.streams_body(result, _stats(job, returned), categorize=categorize)

    def _encode(
        self, encode: EncodeRows, job: Job, tenant: str, tables: Sequence[pa.Table], *, categorize: bool
    ) -> bytes:
        if not tables:
            return b"[]"
        import pyarrow as pa

        rows = pa.concat_tables(tables).select(["sid", "ts", "line", "meta", "level"])
        sids = rows.column("sid").unique().to_pylist()
        labels = {sid: self._streams.labels(tenant, sid) or () for sid in sids}
        if rows.num_rows < ROWS_FOR_A_WORKER:
            return encode(rows, labels, categorize=categorize)
        return self._workers.run(job.left_s(), encode, rows, labels, categorize=categorize)

    def _matrix(self, job: Job, tenant: str, expr: ast.MetricExpr, steps: Steps) -> bytes:
        result, stats = self._evaluated(job, tenant, expr, steps)
        series: Matrix = result if isinstance(result, Mapping) else {(): everywhere(result)}
        if len(series) * steps.count < POINTS_FOR_A_WORKER:
            encoded = encode_points(steps, series)
        else:
            encoded = self._workers.run(job.left_s(), encode_points, steps, series)
        return loki_result.matrix_body(encoded, stats)

    def _vector(self, job: Job, tenant: str, expr: ast.MetricExpr, time_ns: int) -> bytes:
        result, stats = self._evaluated(job, tenant, expr, Steps(time_ns, SECOND_NS, 1))
        if not isinstance(result, Mapping):
            return loki_result.scalar_body((time_ns, float(result[0])), stats)
        present = [
            (labels, (time_ns, float(samples.values[0])))
            for labels, samples in sorted(result.items())
            if samples.present[0]
        ]
        return loki_result.vector_body(present, stats)

    def _evaluated(self, job: Job, tenant: str, expr: ast.MetricExpr, steps: Steps) -> tuple[Result, Stats]:
        windows = LogWindows(job, tenant, self._streams, steps, self._limits(tenant).max_query_series)
        result = evaluate(expr, steps=steps.count, windows=windows)
        return result, _stats(job, len(result) if isinstance(result, Mapping) else 1)

    def _select(self, tenant: str, selector: ast.Selector | None) -> frozenset[int]:
        return self._streams.select(tenant, selector.matchers if selector else ())

    def _active(self, job: Job, tenant: str, time_range: TimeRange, selector: ast.Selector | None) -> list[LabelSet]:
        """The label sets of streams that have an entry in the range."""
        is_everything = selector is None or not selector.matchers
        sids = None if is_everything else self._select(tenant, selector)
        if sids is not None and not sids:
            return []
        active = job.query(logs.active_streams(tenant, time_range, sids)).column("sid").to_pylist()
        return [labels for sid in active if (labels := self._streams.labels(tenant, sid)) is not None]

    def _sizes(
        self, job: Job, tenant: str, time_range: TimeRange, selector: ast.Selector
    ) -> Iterable[tuple[LabelSet, int]]:
        sids = self._select(tenant, selector)
        if not sids:
            return []
        columns = job.query(logs.volume(tenant, time_range, sids)).to_pydict()
        sizes = zip(columns["sid"], columns["bytes"], strict=True)
        return [(self._streams.labels(tenant, sid) or (), size) for sid, size in sizes]

    def _check_limit(self, tenant: str, limit: int) -> None:
        allowed = self._limits(tenant).max_entries_limit_per_query
        if allowed and limit > allowed:
            raise QueryRejected(
                f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {allowed})"
            )

    def _time_range(self, tenant: str, start_ns: int, end_ns: int) -> TimeRange:
        """The range, cut to the tenant's look-back.

        Raises:
            QueryRejected: longer than the tenant may ask.
        """
        limits = self._limits(tenant)
        if limits.max_query_lookback_ns:
            start_ns = max(start_ns, self._clock() - limits.max_query_lookback_ns)
        length_ns = end_ns - start_ns
        if limits.max_query_length_ns and length_ns > limits.max_query_length_ns:
            raise QueryRejected(
                f"the query time range exceeds the limit (query length: {duration.format_go(length_ns)}, "
                f"limit: {duration.format_prometheus(limits.max_query_length_ns)})"
            )
        return TimeRange(start_ns, end_ns)


def _checked(query: str) -> ast.Expr:
    expr = parse(query)
    check(expr)
    return expr


def _selector(query: str | None, *, may_be_everything: bool = False) -> ast.Selector | None:
    """The selector of a parameter. `{}` is everything where that may be asked for."""
    if query is None:
        return None
    selector = parse_selector(query)
    if selector.matchers or not may_be_everything:
        check_selector(selector)
    return selector


def _default_step(time_range: TimeRange) -> int:
    """A 250th of the range in whole seconds, as in Loki."""
    return max((time_range.end_ns - time_range.start_ns) // SECOND_NS // 250, 1) * SECOND_NS


def _steps(time_range: TimeRange, step_ns: int) -> Steps:
    _check_steps(time_range, step_ns)
    count = max((time_range.end_ns - time_range.start_ns) // step_ns, 0) + 1
    return Steps(time_range.start_ns, step_ns, count)


def _check_steps(time_range: TimeRange, step_ns: int) -> None:
    if (time_range.end_ns - time_range.start_ns) // step_ns > MAX_STEPS:
        raise BadRequest(
            "exceeded maximum resolution of 11,000 points per time series. "
            "Try increasing the value of the step parameter"
        )


def _stats(job: Job, returned: int) -> Stats:
    return Stats(job.rows_read, job.bytes_read, returned, job.elapsed_s(), job.queue_s)
