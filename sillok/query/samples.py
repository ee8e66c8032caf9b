"""Range aggregations over logs, answered by the engine: entries and bytes by series and window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import numpy.typing as npt

from sillok.errors import QueryRejected
from sillok.logql import ast
from sillok.logql.evaluate import Matrix, Samples, group_labels
from sillok.logql.plan import plan_log
from sillok.model.labels import LabelSet, label_set
from sillok.model.timerange import TimeRange
from sillok.query.jobs import Job
from sillok.query.rows import DETECTED_LEVEL, entry_metadata
from sillok.schema.log_samples import Buckets, SeriesKey, select_samples
from sillok.store.streams import StreamIndex
from sillok.wire import loki_result

if TYPE_CHECKING:
    import pyarrow as pa

SECOND_NS = 1_000_000_000
EXTRACTED = "_extracted"

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Steps:
    """The times of an evaluation: `start_ns`, `start_ns + step_ns`, …; `count` of them."""

    start_ns: int
    step_ns: int
    count: int

    @property
    def times_ns(self) -> list[int]:
        return [self.start_ns + index * self.step_ns for index in range(self.count)]


def encode_points(steps: Steps, series: Matrix) -> bytes:
    """The `result` of a range query: each series' points, in the order of the labels; none without points.

    Runs on a thread, or in a worker process when it is much.
    """
    times = steps.times_ns
    points = {
        labels: [(times[index], value) for index, value in _present(samples)]
        for labels, samples in sorted(series.items())
    }
    return loki_result.encode_matrix((labels, found) for labels, found in points.items() if found)


def _present(samples: Samples) -> Iterator[tuple[int, float]]:
    where = np.flatnonzero(samples.present)
    return zip(where.tolist(), samples.values[where].tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class LogWindows:
    """Answers range aggregations of one query (`logql.evaluate.Windows`)."""

    job: Job
    tenant: str
    streams: StreamIndex
    steps: Steps
    max_series: int

    def __call__(self, aggregation: ast.RangeAggregation, grouping: ast.Grouping | None) -> Matrix:
        log_range = aggregation.range
        plan = plan_log(log_range.query)
        sids = self.streams.select(self.tenant, plan.matchers)
        if not sids or log_range.range_ns <= 0:
            return {}
        labels = {sid: self.streams.labels(self.tenant, sid) or () for sid in sids}
        keying = _Keying.of(labels, grouping)
        windows = _Windows.of(self.steps, log_range)
        rows = self.job.query(
            select_samples(
                self.tenant,
                windows.time_range,
                sids=sids,
                where=plan.where,
                key=keying.key,
                buckets=windows.buckets,
            )
        )
        return self._matrix(rows, keying, windows, aggregation)

    def _matrix(self, rows: pa.Table, keying: _Keying, windows: _Windows, aggregation: ast.RangeAggregation) -> Matrix:
        if not rows.num_rows:
            return {}
        lines = rows.column("lines").to_numpy().astype(np.int64)
        sizes = rows.column("bytes").to_numpy().astype(np.int64)
        groups = keying.groups(rows)
        if len(groups.labels) > self.max_series:
            raise QueryRejected(
                f"maximum number of series ({self.max_series}) reached for a single query; consider reducing query "
                "cardinality by adding more specific stream selectors, reducing the time range, or aggregating "
                "results with functions like sum(), count() or topk()"
            )
        buckets = rows.column("bucket").to_numpy().astype(np.int64)
        found = {}
        for labels, of_group in groups.rows():
            counts = windows.summed(buckets[of_group], lines[of_group])
            wanted = counts if _counts_lines(aggregation.op) else windows.summed(buckets[of_group], sizes[of_group])
            found[labels] = Samples(wanted / _divisor(aggregation), counts > 0)
        return found


@dataclass(frozen=True, slots=True)
class _Windows:
    """How windows are made of buckets: window `i` is the buckets from `i·stride` on, `length` of them."""

    time_range: TimeRange
    buckets: Buckets
    stride: int
    length: int
    count: int

    @classmethod
    def of(cls, steps: Steps, log_range: ast.LogRange) -> _Windows:
        range_ns, step_ns = log_range.range_ns, steps.step_ns
        first_ns = steps.start_ns - log_range.offset_ns
        last_ns = first_ns + (steps.count - 1) * step_ns
        # Windows are open at their start and closed at their end.
        time_range = TimeRange(first_ns - range_ns + 1, last_ns + 1)
        if steps.count == 1:
            return cls(time_range, Buckets(first_ns, range_ns, range_ns), 1, 1, 1)
        if step_ns >= range_ns:
            return cls(time_range, Buckets(first_ns, step_ns, range_ns), 1, 1, steps.count)
        width_ns = math.gcd(step_ns, range_ns)
        buckets = Buckets(first_ns - range_ns + width_ns, width_ns, width_ns)
        return cls(time_range, buckets, step_ns // width_ns, range_ns // width_ns, steps.count)

    def summed(self, buckets: Numbers, values: Numbers) -> npt.NDArray[np.float64]:
        """The sum of each window; buckets without entries need not be there, and may come in any order."""
        order = np.argsort(buckets, kind="stable")
        known = buckets[order]
        sums = np.concatenate(([0], np.cumsum(values[order])))
        starts = np.arange(self.count, dtype=np.int64) * self.stride
        first = np.searchsorted(known, starts)
        last = np.searchsorted(known, starts + self.length)
        return (sums[last] - sums[first]).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Groups:
    labels: Sequence[LabelSet]
    of_rows: Numbers

    def rows(self) -> list[tuple[LabelSet, Numbers]]:
        """Each group's labels and the positions of its rows."""
        order = np.argsort(self.of_rows, kind="stable")
        edges = np.searchsorted(self.of_rows[order], np.arange(len(self.labels) + 1))
        return [(labels, order[edges[i] : edges[i + 1]]) for i, labels in enumerate(self.labels)]


@dataclass(frozen=True, slots=True)
class _Keying:
    """By what the engine groups, and how a row of its answer gets its labels."""

    key: SeriesKey
    streams: Mapping[int, LabelSet]  # number in the answer → the labels that its streams have in common
    grouping: ast.Grouping | None

    @classmethod
    def of(cls, labels: Mapping[int, LabelSet], grouping: ast.Grouping | None) -> _Keying:
        if grouping is None or grouping.is_without:
            return cls(SeriesKey(None, has_all_metadata=True, has_level=True), labels, grouping)
        wanted = {name for wanted in grouping.names for name in (wanted, wanted.removesuffix(EXTRACTED))}
        # Streams that agree in these labels are one to the engine.
        numbers: dict[LabelSet, int] = {}
        series = {}
        for sid, own in labels.items():
            kept = tuple(pair for pair in own if pair[0] in wanted)
            series[sid] = numbers.setdefault(kept, len(numbers))
        missing = sorted(
            name for name in wanted if name not in grouping.names or any(name not in dict(own) for own in numbers)
        )
        key = SeriesKey(series, metadata=tuple(missing), has_level=DETECTED_LEVEL in missing)
        return cls(key, {number: own for own, number in numbers.items()}, grouping)

    def groups(self, rows: pa.Table) -> _Groups:
        """Each row's group. The loop is over different keys, not over rows: there is one a bucket and key."""
        columns = [_codes(rows.column("series"))]
        columns += [_codes(rows.column(f"meta{index}")) for index in range(len(self.key.metadata))]
        if self.key.has_all_metadata:
            columns.append(_codes_of_maps(rows.column("all_meta")))
        if self.key.has_level:
            columns.append(_codes(rows.column("log_level")))
        keys, of_rows = np.unique(np.stack([codes for _, codes in columns]), axis=1, return_inverse=True)
        numbers: dict[LabelSet, int] = {}
        of_keys = np.empty(keys.shape[1], dtype=np.int64)
        for position, key in enumerate(keys.T.tolist()):
            values = [known[code] for (known, _), code in zip(columns, key, strict=True)]
            of_keys[position] = numbers.setdefault(self._labels(values), len(numbers))
        return _Groups(list(numbers), of_keys[of_rows.reshape(-1)])

    def _labels(self, key: Sequence[Any]) -> LabelSet:
        own = self.streams[key[0]]
        level = key[-1] if self.key.has_level else ""
        names = self.key.metadata
        metadata = list(key[1]) if self.key.has_all_metadata else list(zip(names, key[1 : 1 + len(names)], strict=True))
        merged = label_set({**dict(own), **entry_metadata(own, [pair for pair in metadata if pair[1]], level)})
        return merged if self.grouping is None else group_labels(merged, self.grouping)


def _codes(column: pa.ChunkedArray) -> tuple[list[Any], Numbers]:
    """The different values of a column, and which of them each row has."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _codes_of_maps(column: pa.ChunkedArray) -> tuple[list[Any], Numbers]:
    """The same for maps, which Arrow cannot encode."""
    known: dict[tuple[tuple[str, str], ...], int] = {}
    codes = [known.setdefault(tuple(meta), len(known)) for meta in column.to_pylist()]
    return list(known), np.array(codes, dtype=np.int64)


def _counts_lines(op: ast.RangeOp) -> bool:
    match op:
        case ast.RangeOp.COUNT | ast.RangeOp.RATE:
            return True
        case ast.RangeOp.BYTES | ast.RangeOp.BYTES_RATE:
            return False
    assert_never(op)


def _divisor(aggregation: ast.RangeAggregation) -> float:
    is_rate = aggregation.op in (ast.RangeOp.RATE, ast.RangeOp.BYTES_RATE)
    return aggregation.range.range_ns / SECOND_NS if is_rate else 1.0
