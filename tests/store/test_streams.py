"""The index of streams: what matchers find, and that new streams are on disk before they are known."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.errors import BadRequest
from sillok.model.labels import LabelSet, label_set, stream_id
from sillok.model.matcher import Matcher, MatchOp
from sillok.store.engine import Engine
from sillok.store.streams import StreamIndex

SETS = [
    label_set({"app": app, "level": level, **({"host": host} if host else {})})
    for app, level, host in itertools.product(("api", "ticket", "a\nb"), ("info", "error"), ("", "h1", "h2"))
]


def indexed(engine: Engine, tenant: str, sets: list[LabelSet]) -> StreamIndex:
    index = StreamIndex(engine)
    index.add(tenant, {stream_id(tenant, labels): labels for labels in sets})
    return index


def found(index: StreamIndex, tenant: str, *matchers: Matcher) -> set[LabelSet]:
    return {index.labels(tenant, sid) or () for sid in index.select(tenant, matchers)}


names = st.sampled_from(["app", "level", "host", "absent"])
values = st.sampled_from(["", "api", "error", "h1", "a.*", ".*", ".+", "api|ticket", "a.b", "(", "pi"])
matchers = st.lists(st.builds(Matcher, names, st.sampled_from(MatchOp), values), max_size=3)


def says(matcher: Matcher, labels: LabelSet) -> bool:
    """What Prometheus' documentation says of one matcher and one label set."""
    value = dict(labels).get(matcher.name, "")
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.MATCHES:
            return re.fullmatch(matcher.value, value, re.DOTALL) is not None
        case MatchOp.NOT_MATCHES:
            return re.fullmatch(matcher.value, value, re.DOTALL) is None


@given(matchers)
def test_matchers_find_what_their_meaning_says(engine: Engine, chosen: list[Matcher]) -> None:
    index = StreamIndex(engine)
    index._of("law")  # a tenant without a row on disk
    for labels in SETS:
        index._of("law").add(stream_id("law", labels), labels)
    if any(matcher.value == "(" and matcher.op in (MatchOp.MATCHES, MatchOp.NOT_MATCHES) for matcher in chosen):
        with pytest.raises(BadRequest):
            index.select("law", chosen)
        return
    assert found(index, "law", *chosen) == {s for s in SETS if all(says(matcher, s) for matcher in chosen)}


def test_streams_are_there_after_a_start(engine: Engine) -> None:
    indexed(engine, "streams-a", SETS)
    again = StreamIndex(engine)
    assert again.count("streams-a") == 0
    again.load()
    assert found(again, "streams-a") == set(SETS)
    assert "streams-a" in again.tenants()


def test_known_streams_are_not_written_again(engine: Engine) -> None:
    index = indexed(engine, "streams-b", SETS[:3])
    calls: list[int] = []

    class Counting:
        def insert(self, table: str, rows: object) -> None:
            calls.append(rows.num_rows)  # type: ignore[attr-defined]

    index._engine = Counting()  # type: ignore[assignment]
    index.add("streams-b", {stream_id("streams-b", labels): labels for labels in SETS[:5]})
    index.add("streams-b", {stream_id("streams-b", labels): labels for labels in SETS[:5]})
    assert calls == [2]


def test_a_stream_that_could_not_be_written_is_not_known(engine: Engine) -> None:
    index = StreamIndex(engine)

    class Full:
        def insert(self, table: str, rows: object) -> None:
            raise OSError("no room")

    index._engine = Full()  # type: ignore[assignment]
    with pytest.raises(OSError, match="no room"):
        index.add("streams-c", {1: SETS[0]})
    assert not index.known("streams-c", 1)


def test_tenants_do_not_see_each_others_streams(engine: Engine) -> None:
    index = indexed(engine, "streams-d", SETS)
    sid = stream_id("streams-d", SETS[0])
    assert index.labels("streams-e", sid) is None
    assert not index.known("streams-e", sid)
    assert index.select("streams-e", []) == frozenset()
