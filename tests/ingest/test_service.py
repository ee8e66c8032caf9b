"""A push waits for its commit, gets a receipt, and is stored once."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from sillok import telemetry
from sillok.errors import NothingToStore, Overloaded, PushSyntaxError, QueryTimeout, StoreFull, StoreUnavailable
from sillok.ingest import batches, service
from sillok.ingest.ledger import DAY_NS
from sillok.ingest.service import Committed, Ingest
from sillok.model.limits import Limits
from sillok.model.push import EntryColumns, Pushed, PushedStream, RawEntries, Receipt
from sillok.model.timerange import TimeRange
from sillok.wire.loki_push import SentEntry, decode_protobuf, encode_protobuf
from tests.ingest.memory import Bench

TODAY = 20_000 * DAY_NS
NOW = TODAY + DAY_NS // 2


def bench(limits: Limits | None = None) -> Bench:
    return Bench(limits=lambda _: limits or Limits(), clock=lambda: NOW)


def entries(*lines: str, time_ns: int = NOW) -> list[SentEntry]:
    return [(time_ns + n, line.encode(), (), None) for n, line in enumerate(lines)]


def pushed(*lines: str, labels: str = '{app="api"}', time_ns: int = NOW) -> Pushed:
    return decode_protobuf(encode_protobuf([(labels, entries(*lines, time_ns=time_ns))]))


def days(count: int) -> Pushed:
    """One entry a day, the newest first."""
    return decode_protobuf(
        encode_protobuf([('{app="api"}', [(NOW - day * DAY_NS, b"day %d" % day, (), None) for day in range(count)])])
    )


def batch(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def send(ingest: Ingest, push: Pushed, number: int, tenant: str = "t") -> Receipt:
    return await ingest.push(tenant, push, batch=batch(number), is_named=True)


def test_a_push_is_stored_with_its_streams_and_its_receipt_says_so() -> None:
    here = bench()
    receipt = here.run(lambda ingest: send(ingest, pushed("a", "b"), 1))
    assert receipt == Receipt(batch(1), stored=2)
    assert here.store.lines() == [b"a", b"b"]
    assert {row["sid"] for row in here.store.rows} == here.streams.labels["t"].keys()
    assert list(here.streams.labels["t"].values()) == [(("app", "api"), ("service_name", "api"))]


def test_late_and_unordered_lines_are_kept_however_many_days_a_push_spans() -> None:
    here = bench()
    assert here.push(days(400)).stored == 400
    assert len({row["ts"] // DAY_NS for row in here.store.rows}) == 400


def test_equal_lines_of_one_push_stay_apart_and_in_order() -> None:
    here = bench()
    here.push(decode_protobuf(encode_protobuf([('{a="b"}', [(NOW, b"same", (), None)] * 3)])))
    assert [row["offset"] for row in here.store.rows] == [0, 1, 2]


def test_the_place_of_a_line_in_its_source_is_stored() -> None:
    here = bench()
    here.push(decode_protobuf(encode_protobuf([('{a="b"}', [(NOW, b"x", (), 0), (NOW, b"y", (), 1 << 40)])])))
    assert [row["offset"] for row in here.store.rows] == [0, 1 << 40]


def test_a_batch_that_is_sent_again_is_stored_once() -> None:
    here = bench()

    async def twice(ingest: Ingest) -> list[Receipt]:
        return [await send(ingest, pushed("a", "b"), 1) for _ in range(2)]

    first, second = here.run(twice)
    assert (first.stored, first.duplicates) == (2, 0)
    assert (second.stored, second.duplicates) == (0, 2)
    assert here.store.lines() == [b"a", b"b"]


def test_a_batch_that_is_sent_again_after_a_restart_is_stored_once() -> None:
    here = bench()
    here.run(lambda ingest: send(ingest, pushed("a", "b"), 1))
    assert here.run(lambda ingest: send(ingest, pushed("a", "b"), 1)).duplicates == 2
    assert here.store.lines() == [b"a", b"b"]


def test_a_batch_sent_twice_at_once_is_stored_once() -> None:
    here = bench()

    async def together(ingest: Ingest) -> list[Receipt]:
        return await asyncio.gather(*(send(ingest, pushed("a", "b"), 1) for _ in range(5)))

    receipts = here.run(together)
    assert sorted(receipt.stored for receipt in receipts) == [0, 0, 0, 0, 2]
    assert here.store.lines() == [b"a", b"b"]


def test_only_the_days_that_a_crash_took_are_stored_again() -> None:
    here = bench()
    here.run(lambda ingest: send(ingest, days(30), 1))
    lost = [row for row in here.store.rows if row["ts"] // DAY_NS % 3 == 0]
    here.store.rows = [row for row in here.store.rows if row not in lost]
    receipt = here.run(lambda ingest: send(ingest, days(30), 1))
    assert (receipt.stored, receipt.duplicates) == (len(lost), 30 - len(lost))
    assert sorted(here.store.lines()) == sorted(b"day %d" % day for day in range(30))


def test_the_same_id_of_two_tenants_is_two_batches() -> None:
    here = bench()

    async def both(ingest: Ingest) -> list[Receipt]:
        return [await send(ingest, pushed("a"), 1, tenant) for tenant in ("t", "u")]

    assert [receipt.stored for receipt in here.run(both)] == [1, 1]


def test_the_data_is_asked_only_about_batches_that_may_be_there() -> None:
    here = bench()
    here.run(lambda ingest: send(ingest, pushed("a"), 1))
    here.store.asked.clear()

    async def many(ingest: Ingest) -> None:
        await asyncio.to_thread(ingest._learning.join)
        for number in range(1, 200):
            await send(ingest, pushed("a"), number)

    here.run(many)
    assert here.store.asked == [batch(1)]


def test_a_batch_is_found_also_when_the_filter_could_not_be_filled() -> None:
    here = bench()
    here.run(lambda ingest: send(ingest, pushed("a"), 1))

    def broken() -> None:
        raise StoreUnavailable("no")

    here.store.all_batches = broken  # type: ignore[method-assign]
    assert here.run(lambda ingest: send(ingest, pushed("a"), 1)).duplicates == 1


def test_a_store_that_cannot_be_asked_fails_the_push_and_not_the_ingest() -> None:
    here = bench()
    stored = here.store.stored

    def broken(tenant: str, batch: bytes, *, time_range: TimeRange) -> dict[int, int]:
        raise QueryTimeout("no answer in time")

    async def steps(ingest: Ingest) -> Receipt:
        await send(ingest, pushed("a"), 1)
        here.store.stored = broken  # type: ignore[method-assign]
        with pytest.raises(QueryTimeout):
            await send(ingest, pushed("a"), 1)
        here.store.stored = stored  # type: ignore[method-assign]
        return await send(ingest, pushed("a"), 1)

    assert here.run(steps).duplicates == 1
    assert here.store.lines() == [b"a"]


def test_a_bug_in_a_commit_is_heard_by_who_waits() -> None:
    here = bench()

    def bug() -> None:
        raise ZeroDivisionError

    async def steps(ingest: Ingest) -> None:
        here.store.before_append = bug
        with pytest.raises(ZeroDivisionError):
            await send(ingest, pushed("a"), 1)
        here.store.before_append = lambda: None
        assert (await send(ingest, pushed("a"), 1)).stored == 1

    here.run(steps)


def test_labels_are_judged_anew_when_limits_change() -> None:
    limits = [Limits()]
    here = Bench(limits=lambda _: limits[0], clock=lambda: NOW)

    async def steps(ingest: Ingest) -> list[int]:
        counts = []
        for number, longest in enumerate([100, 2, 100]):
            limits[0] = Limits(max_label_value_length=longest)
            counts.append((await send(ingest, pushed("a"), number)).stored)
        return counts

    assert here.run(steps) == [1, 0, 1]


def test_concurrent_pushes_share_commits() -> None:
    here = bench()

    async def together(ingest: Ingest) -> list[Receipt]:
        return await asyncio.gather(*(send(ingest, pushed(f"line {n}"), n) for n in range(200)))

    assert all(receipt.stored == 1 for receipt in here.run(together))
    assert sorted(here.store.lines()) == sorted(b"line %d" % n for n in range(200))
    assert len(here.store.commits) <= 4


def test_a_commit_has_a_receive_time_of_its_own_that_grows() -> None:
    here = bench()

    async def one_by_one(ingest: Ingest) -> None:
        for number in range(3):
            await send(ingest, pushed("a"), number)

    here.run(one_by_one)
    here.run(lambda ingest: send(ingest, pushed("a"), 9))
    received = [row["recv"] for row in here.store.rows]
    assert received == sorted(set(received))
    assert received[0] == NOW


def test_listeners_hear_of_a_commit_before_its_push_is_answered() -> None:
    here = bench()
    heard: list[Committed] = []

    async def steps(ingest: Ingest) -> list[int]:
        end = ingest.listen(heard.append)
        counts = []
        for number, tenant in enumerate(["t", "u", "u"]):
            await send(ingest, pushed("a"), number, tenant)
            counts.append(len(heard))
        end()
        await send(ingest, pushed("a"), 9)
        await send(ingest, pushed("a"), 9)  # stores nothing, so no commit either
        return [*counts, len(heard)]

    assert here.run(steps) == [1, 2, 3, 3]
    assert [committed.tenants for committed in heard] == [{"t"}, {"u"}, {"u"}]
    assert [committed.recv for committed in heard] == [row["recv"] for row in here.store.rows[:3]]


def test_pushes_of_several_tenants_share_a_commit() -> None:
    here = bench()

    async def together(ingest: Ingest) -> None:
        await asyncio.gather(*(send(ingest, pushed(f"of {n}"), n, f"tenant-{n % 3}") for n in range(30)))

    here.run(together)
    assert {(row["tenant"], int(row["line"].split()[1]) % 3) for row in here.store.rows} == {
        ("tenant-0", 0),
        ("tenant-1", 1),
        ("tenant-2", 2),
    }
    assert len(here.store.commits) <= 3


def test_entries_that_are_refused_do_not_take_the_good_ones_with_them() -> None:
    here = bench(Limits(max_line_size_bytes=5))
    streams = [
        ('{app="api"}', entries("good", "too long", "fine")),
        ("{app=", entries("of no stream")),
        ('{app="web"}', entries("also")),
    ]
    receipt = here.push(decode_protobuf(encode_protobuf(streams)))
    assert receipt.stored == 3
    assert receipt.refused == {"line_too_long": 1, "invalid_labels": 1}
    assert receipt.error is not None
    assert sorted(here.store.lines()) == [b"also", b"fine", b"good"]


def test_a_push_that_cannot_be_decoded_does_not_take_others_with_it() -> None:
    here = bench()
    broken = Pushed((PushedStream('{app="api"}', RawEntries((b"\x0a\x05",))),), 2)

    async def together(ingest: Ingest) -> list[Receipt | BaseException]:
        pushes = [pushed("a"), broken, pushed("b")]
        return await asyncio.gather(
            *(send(ingest, push, number) for number, push in enumerate(pushes)), return_exceptions=True
        )

    first, second, third = here.run(together)
    assert isinstance(second, PushSyntaxError)
    assert [receipt.stored for receipt in (first, third) if isinstance(receipt, Receipt)] == [1, 1]
    assert sorted(here.store.lines()) == [b"a", b"b"]


def test_a_push_without_streams_is_refused() -> None:
    with pytest.raises(NothingToStore):
        bench().push(Pushed(()))


def test_a_full_disk_is_told_to_all_who_wait_and_ends_by_itself() -> None:
    here = bench()
    here.store.failure = StoreFull("the disk is full")

    async def steps(ingest: Ingest) -> list[Receipt]:
        first = await asyncio.gather(*(send(ingest, pushed(f"line {n}"), n) for n in range(10)), return_exceptions=True)
        assert all(isinstance(error, StoreFull) for error in first)
        here.store.failure = None
        return [await send(ingest, pushed(f"line {n}"), n) for n in range(10)]

    assert [receipt.stored for receipt in here.run(steps)] == [1] * 10
    assert len(here.store.rows) == 10


def test_what_the_store_kept_of_a_commit_that_failed_is_not_stored_again() -> None:
    """A commit is a part a day: when the disk fills up, some days may be there."""
    here = bench()
    whole = days(4)

    async def steps(ingest: Ingest) -> Receipt:
        with pytest.raises(StoreFull):
            await send(ingest, whole, 1)
        here.store.failure = None
        return await send(ingest, whole, 1)

    def keep_some() -> None:
        if here.store.failure is not None and not here.store.rows:
            failure, here.store.failure = here.store.failure, None
            here.store.append(kept_rows[0])
            here.store.rows = here.store.rows[:2]
            here.store.failure = failure

    kept_rows: list[object] = []
    plain_append = here.store.append

    def append(rows: object) -> None:
        kept_rows[:] = [rows]
        here.store.append = plain_append  # type: ignore[method-assign]
        keep_some()
        plain_append(rows)

    here.store.append = append  # type: ignore[method-assign, assignment]
    here.store.failure = StoreFull("the disk is full")
    receipt = here.run(steps)
    assert (receipt.stored, receipt.duplicates) == (2, 2)
    assert sorted(here.store.lines()) == [b"day 0", b"day 1", b"day 2", b"day 3"]


class Gate:
    """Holds commits until it is opened."""

    def __init__(self, here: Bench) -> None:
        self._open = threading.Event()
        self.reached = threading.Event()
        here.store.before_append = self._wait

    def _wait(self) -> None:
        self.reached.set()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()


def test_more_than_the_queue_holds_is_refused_with_a_time_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_HELD_BYTES", 1000)
    here = bench()
    gate = Gate(here)

    async def steps(ingest: Ingest) -> list[Receipt]:
        waiting = [asyncio.create_task(send(ingest, replace(pushed(f"{n}"), body_bytes=400), n)) for n in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await send(ingest, replace(pushed("x"), body_bytes=400), 9)
        assert refused.value.retry_after_s > 0
        gate.open()
        receipts = await asyncio.gather(*waiting)
        return [*receipts, await send(ingest, replace(pushed("x"), body_bytes=400), 9)]

    assert [receipt.stored for receipt in here.run(steps)] == [1, 1, 1]
    assert sorted(here.store.lines()) == [b"0", b"1", b"x"]


def test_a_push_larger_than_the_queue_is_taken_when_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_HELD_BYTES", 10)
    assert bench().push(pushed("a line of some length")).stored == 1


def test_a_client_that_goes_away_neither_loses_nor_doubles_its_push() -> None:
    here = bench()
    gate = Gate(here)

    async def steps(ingest: Ingest) -> list[Receipt]:
        gone = [asyncio.create_task(send(ingest, pushed(f"line {n}"), n)) for n in range(5)]
        await asyncio.to_thread(gate.reached.wait, 10)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        assert all(task.cancelled() for task in gone)
        again = [asyncio.create_task(send(ingest, pushed(f"line {n}"), n)) for n in range(5)]
        await asyncio.sleep(0)
        gate.open()
        return await asyncio.gather(*again)

    receipts = here.run(steps)
    assert [(receipt.stored, receipt.duplicates) for receipt in receipts] == [(0, 1)] * 5
    assert sorted(here.store.lines()) == [b"line %d" % n for n in range(5)]


def test_closing_finishes_what_waits_and_refuses_what_comes() -> None:
    here = bench()
    gate = Gate(here)

    async def steps(ingest: Ingest) -> Receipt:
        waiting = asyncio.create_task(send(ingest, pushed("a"), 1))
        await asyncio.to_thread(gate.reached.wait, 10)
        closing = asyncio.create_task(ingest.close())
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable):
            await send(ingest, pushed("b"), 2)
        gate.open()
        await closing
        return await waiting

    assert here.run(steps).stored == 1
    assert here.store.lines() == [b"a"]


def test_a_second_commit_runs_beside_a_slow_one() -> None:
    here = bench()
    gate = Gate(here)

    async def steps(ingest: Ingest) -> None:
        slow = asyncio.create_task(send(ingest, pushed("a"), 1))
        await asyncio.to_thread(gate.reached.wait, 10)
        here.store.before_append = lambda: None
        await asyncio.wait_for(send(ingest, pushed("b"), 2), 10)
        assert not slow.done()
        gate.open()
        await slow

    here.run(steps)
    assert here.store.lines() == [b"b", b"a"]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (batches, service):
        monkeypatch.setattr(room, "MAX_BATCH_ENTRIES", 10)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("kind", ["raw", "columns"])
def test_a_push_larger_than_a_block_is_stored_in_pieces_and_once(kind: str) -> None:
    here = bench()
    lines = [f"line {n}" for n in range(37)]
    whole = pushed(*lines) if kind == "raw" else columns_of(lines)

    async def twice(ingest: Ingest) -> list[Receipt]:
        return [await send(ingest, whole, 1) for _ in range(2)]

    first, second = here.run(twice)
    assert first == Receipt(batch(1), stored=37)
    assert second == Receipt(batch(1), stored=0, duplicates=37)
    assert here.store.commits == [10, 10, 10, 7]
    assert [row["offset"] for row in here.store.rows] == list(range(37))
    assert len({row["batch"] for row in here.store.rows}) == 4


def columns_of(lines: list[str]) -> Pushed:
    encoded = [line.encode() for line in lines]
    times = [NOW + n for n in range(len(lines))]
    metadata = [(("n", line),) for line in lines]
    return Pushed((PushedStream('{app="api"}', EntryColumns(times, encoded, metadata)),), 100)


@pytest.mark.usefixtures("small_batches")
def test_a_large_push_that_failed_half_way_goes_on_where_it_failed() -> None:
    here = bench()
    whole = pushed(*(f"line {n}" for n in range(37)))

    def full_after_two() -> None:
        if len(here.store.commits) == 2:
            raise StoreFull("the disk is full")

    async def steps(ingest: Ingest) -> Receipt:
        here.store.before_append = full_after_two
        with pytest.raises(StoreFull):
            await send(ingest, whole, 1)
        here.store.before_append = lambda: None
        return await send(ingest, whole, 1)

    receipt = here.run(steps)
    assert (receipt.stored, receipt.duplicates) == (17, 20)
    assert len(set(here.store.lines())) == len(here.store.rows) == 37


@pytest.mark.usefixtures("small_batches")
def test_the_pieces_of_a_push_are_the_same_whatever_is_refused() -> None:
    """Limits may change between two sendings of a batch; its cuts must not."""
    here = Bench(limits=lambda _: limits[0], clock=lambda: NOW)
    limits = [Limits(max_line_size_bytes=6)]
    whole = pushed(*(f"line {n}" for n in range(37)))
    assert here.push(whole, batch=batch(1)).refused == {"line_too_long": 27}
    limits[0] = Limits()
    receipt = here.push(whole, batch=batch(1))
    assert (receipt.stored, receipt.duplicates) == (27, 10)


def test_a_large_body_is_cut_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (batches, service):
        monkeypatch.setattr(room, "MAX_BATCH_BYTES", 100)
    here = bench()
    assert here.push(pushed(*("x" * 60 for _ in range(5)))).stored == 5
    assert here.store.commits == [2, 2, 1]


@pytest.mark.parametrize("rate_mb", [0.0, 0.001])
def test_a_tenants_rate_is_off_by_default_and_kept_when_set(rate_mb: float) -> None:
    now = [NOW]
    limits = Limits(ingestion_rate_mb=rate_mb, ingestion_burst_size_mb=0.002)
    here = Bench(limits=lambda _: limits, clock=lambda: now[0])

    async def steps(ingest: Ingest) -> list[int]:
        first = await send(ingest, pushed("x" * 1500), 1)
        second = await send(ingest, pushed("y" * 1500), 2)
        again = await send(ingest, pushed("x" * 1500), 1)  # is there already, so it costs nothing
        now[0] += 2_000_000_000
        third = await send(ingest, pushed("y" * 1500, time_ns=NOW + 5), 2)
        if rate_mb:
            assert second.refused == {"rate_limited": 1}
        assert again.duplicates == 1
        return [first.stored, second.stored, third.stored + third.duplicates]

    assert here.run(steps) == [1, 0 if rate_mb else 1, 1]


def counted(name: str, **labels: str) -> float:
    return telemetry.REGISTRY.get_sample_value(name, labels) or 0.0


def test_everything_that_comes_in_is_counted() -> None:
    here = bench(Limits(max_line_size_bytes=5))

    async def steps(ingest: Ingest) -> None:
        for _ in range(2):
            await send(ingest, pushed("good", "fine", "too long"), 1, "counted")
        await ingest.push("counted", pushed("x"), batch=batch(2), is_named=False)

    before = counted("sillok_ingest_commits_total")
    named = counted("sillok_ingest_batches_total", named_by="sender")
    here.run(steps)
    assert counted("sillok_ingest_lines_total", tenant="counted") == 3
    assert counted("sillok_ingest_bytes_total", tenant="counted") == 9
    assert counted("sillok_ingest_duplicate_lines_total", tenant="counted") == 2
    assert counted("sillok_ingest_refused_lines_total", tenant="counted", reason="line_too_long") == 2
    assert counted("sillok_ingest_commits_total") == before + 2
    assert counted("sillok_ingest_batches_total", named_by="sender") == named + 2
    assert counted("sillok_ingest_queue_bytes") == 0
