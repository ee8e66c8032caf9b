"""Retention: whole days go, streams that are kept shorter go from days that others keep (T-07)."""

from __future__ import annotations

from collections.abc import Sequence

from sillok.model.labels import label_set, stream_id
from sillok.model.limits import HOUR_NS, Limits, StreamRetention
from sillok.model.matcher import Matcher, MatchOp
from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.store.engine import Engine
from sillok.store.retention import Expired, Retention
from sillok.store.streams import StreamIndex
from sillok.store.writer import Writer
from tests.store.test_writer import rows

DAY_NS = logs.DAY_NS
DEBUG = label_set({"app": "a", "level": "debug"})
INFO = label_set({"app": "a", "level": "info"})
FOREVER = Limits(retention_period_ns=0)


def debug_matchers(selector: str) -> Sequence[Matcher]:
    assert selector == '{level="debug"}'
    return [Matcher("level", MatchOp.EQUAL, "debug")]


def store(engine: Engine, tenant: str, days: Sequence[int]) -> StreamIndex:
    index = StreamIndex(engine)
    sids = [stream_id(tenant, labels) for labels in (DEBUG, INFO)]
    index.add(tenant, dict(zip(sids, (DEBUG, INFO), strict=True)))
    times = [day * DAY_NS + hour * HOUR_NS for day in days for hour in (0, 23)]
    for sid in sids:
        Writer(engine).append(rows(tenant, [b"line"] * len(times), ts=times, sid=[sid] * len(times)))
    return index


def days_of(engine: Engine, tenant: str, labels: object = None) -> list[int]:
    statement = logs.volume(tenant, TimeRange(0, 30_000 * DAY_NS), step_ns=DAY_NS)
    found = engine.query(statement).to_pydict()
    wanted = None if labels is None else stream_id(tenant, labels)  # type: ignore[arg-type]
    rows_of = zip(found["sid"], found["bucket"], strict=True)
    return sorted({bucket // DAY_NS for sid, bucket in rows_of if wanted in (None, sid)})


def retention(engine: Engine, index: StreamIndex, **limits: Limits) -> Retention:
    return Retention(
        engine, index, limits=lambda tenant: limits.get(tenant.replace("-", "_"), FOREVER), matchers=debug_matchers
    )


def test_a_day_goes_when_all_of_it_is_older_than_the_period(engine: Engine) -> None:
    index = store(engine, "kept-a", [12_000, 12_001, 12_002])
    fortnight = retention(engine, index, kept_a=Limits(retention_period_ns=336 * HOUR_NS))
    assert fortnight.run((12_001 + 14) * DAY_NS - 1) == Expired()
    assert fortnight.run((12_001 + 14) * DAY_NS) == Expired(days=1, lines=4)
    assert days_of(engine, "kept-a") == [12_001, 12_002]
    assert fortnight.run((12_003 + 14) * DAY_NS) == Expired(days=2, lines=8)
    assert days_of(engine, "kept-a") == []


def test_a_tenant_that_keeps_longer_keeps_its_lines_of_a_day_that_others_lose(engine: Engine) -> None:
    store(engine, "kept-b", [12_100])
    index = store(engine, "kept-c", [12_100])
    index.load()
    short = retention(engine, index, kept_b=Limits(retention_period_ns=24 * HOUR_NS))
    assert short.run(12_110 * DAY_NS) == Expired(days=0, lines=4)
    assert (days_of(engine, "kept-b"), days_of(engine, "kept-c")) == ([], [12_100])


def test_the_rule_with_the_highest_priority_says_how_long_a_stream_is_kept(engine: Engine) -> None:
    index = store(engine, "kept-d", [12_200, 12_201])
    rules = (
        StreamRetention('{level="debug"}', 1, 240 * HOUR_NS),
        StreamRetention('{level="debug"}', 2, 24 * HOUR_NS),
    )
    limits = Limits(retention_period_ns=336 * HOUR_NS, retention_stream=rules)
    run = retention(engine, index, kept_d=limits).run(12_202 * DAY_NS)
    assert run == Expired(days=0, lines=2)
    assert days_of(engine, "kept-d", DEBUG) == [12_201]
    assert days_of(engine, "kept-d", INFO) == [12_200, 12_201]


def test_a_late_line_of_a_day_that_is_gone_goes_with_the_next_run(engine: Engine) -> None:
    index = store(engine, "kept-e", [12_300])
    week = retention(engine, index, kept_e=Limits(retention_period_ns=168 * HOUR_NS))
    now_ns = 12_400 * DAY_NS
    week.run(now_ns)
    store(engine, "kept-e", [12_300])
    assert week.run(now_ns).lines == 4
    assert days_of(engine, "kept-e") == []


def test_a_period_of_zero_keeps_for_ever(engine: Engine) -> None:
    index = store(engine, "kept-f", [12_500])
    assert retention(engine, index).run(29_000 * DAY_NS) == Expired()
    assert days_of(engine, "kept-f") == [12_500]
