"""The same push to ingest and to the real Loki: the same status, the same text, the same entries kept."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import cramjam
import httpx
import pytest

from sillok.errors import BadRequest, NothingToStore
from sillok.model.push import Receipt
from sillok.wire.loki_push import SentEntry, decode_json, decode_protobuf, encode_protobuf
from tests.ingest.loki import limits_of
from tests.ingest.memory import Bench

NOW = time.time_ns()
HOUR = 3_600_000_000_000
RATE_REASONS = {"rate_limited", "stream_limit"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the errors in the body; Loki writes them in any order."""

    status: int
    errors: frozenset[str]


def answer(status: int, text: str) -> Answer:
    # Two clocks are read one after the other, so their minutes and seconds may differ.
    text = re.sub(r"(oldest acceptable timestamp is: [0-9-]+T[0-9]+):[0-9]+:[0-9]+Z", r"\1Z", text)
    return Answer(status, frozenset(text.strip().split("; ")))


def loki_answers(url: str, tenant: str, body: bytes, content_type: str) -> Answer:
    """The answer of the real Loki; `body` is not compressed yet."""
    if content_type != "application/json":
        body = bytes(cramjam.snappy.compress_raw(body))
    headers = {"X-Scope-OrgID": tenant, "Content-Type": content_type}
    reply = httpx.post(f"{url}/loki/api/v1/push", content=body, headers=headers)
    return answer(reply.status_code, reply.text)


def we_answer(bench: Bench, tenant: str, body: bytes, content_type: str) -> Answer:
    """The answer that HTTP gives to what ingest says."""
    try:
        pushed = decode_json(body) if content_type == "application/json" else decode_protobuf(body)
        receipt = bench.push(pushed, tenant=tenant)
    except NothingToStore as error:
        return answer(422, str(error))
    except BadRequest as error:
        return answer(400, str(error))
    return answer(status_of(receipt), receipt.error or "")


def status_of(receipt: Receipt) -> int:
    if not receipt.refused:
        return 204
    return 429 if RATE_REASONS & receipt.refused.keys() else 400


def check(url: str, tenant: str, streams: list[tuple[str, list[SentEntry]]]) -> Bench:
    body = encode_protobuf(streams)
    bench = Bench(limits=limits_of)
    assert we_answer(bench, tenant, body, "application/x-protobuf") == loki_answers(
        url, tenant, body, "application/x-protobuf"
    )
    return bench


def entry(line: bytes = b"x", *, time_ns: int = NOW, metadata: dict[str, str] | None = None) -> SentEntry:
    return (time_ns, line, tuple((metadata or {}).items()), None)


LABELS = [
    "{}",
    "",
    '{a="b"}',
    '{a="b",}',
    ' { a = "b" , c = "d" } ',
    '{a="b"}#c',
    '{a="b"#c\n}',
    'x{a="b"}',
    '{"a b"="c"}',
    '{"a"}',
    "{a='b'}",
    "{a=`b\\n`}",
    '{a="\\u00e4\\x41\\101\\U0001F600\\""}',
    '{a="b"',
    'a="b"}',
    "{",
    '{,a="b"}',
    '{a="b" b="c"}',
    '{a="b",,b="c"}',
    "{a=b}",
    "{a=}",
    "{a}",
    '{="b"}',
    '{a=~"b"}',
    '{a!="b"}',
    '{a="b"} x',
    '{a="b\\x"}',
    '{a="b\nc"}',
    '{a="b}',
    '{a="b", a="c"}',
    '{a-b="c"}',
    '{1a="c"}',
    '{ä="c"}',
    '{a:b="c"}',
    '{a="b";c="d"}',
    '{a="b"}}',
    '{{a="b"}',
    "{a=1}",
    '{a=="b"}',
    '[a="b"]',
    '{a="\\ud800"}',
    '{a="\\400"}',
    '{a="\\q"}',
    '{a="\\\'"}',
    '{a="é"',
    '{a="\n',
    '{a="b"\n  c}',
    '{a "b"}',
    '{a="b" "c"}',
]


@pytest.mark.parametrize("labels", LABELS)
def test_labels_are_read_and_refused_as_by_loki(loki_url: str, labels: str) -> None:
    check(loki_url, "usual", [(labels, [entry()])])


REFUSED = {
    "an empty label set without a service name": ("no-service", "{}", [entry()]),
    "too many labels": ("small-labels", '{a="1",b="2",c="3",d="4"}', [entry()]),
    "as many labels as allowed": ("small-labels", '{a="1",b="2",c="3"}', [entry()]),
    "a service name is not counted": ("small-labels", '{a="1",b="2",c="3",service_name="s"}', [entry()]),
    "a long label name": ("small-labels", '{abcdefghijk="1"}', [entry(), entry()]),
    "a long label value": ("small-labels", '{a="1234567890123"}', [entry()]),
    "a long service name": ("small-labels", '{service="1234567890123"}', [entry()]),
    "an old line": ("no-old", '{a="b"}', [entry(time_ns=NOW - 169 * HOUR), entry()]),
    "a line from the future": ("usual", '{a="b"}', [entry(time_ns=NOW + HOUR), entry()]),
    "a long line": ("short", '{a="b"}', [entry(b"x" * 101), entry(b"y" * 100)]),
    "two equal errors": ("short", '{a="b"}', [entry(b"x" * 101), entry(b"y" * 101)]),
    "two different errors": ("short", '{a="b"}', [entry(b"x" * 101), entry(b"y" * 102)]),
    "two errors of one entry": ("short", '{a="b"}', [entry(b"x" * 101, time_ns=NOW + HOUR)]),
    "metadata that is not allowed": ("no-metadata", '{a="b"}', [entry(metadata={"k": "v"}), entry()]),
    "too much metadata": ("little-metadata", '{a="b"}', [entry(metadata={"k": "v" * 60}), entry()]),
    "too many metadata": ("little-metadata", '{a="b"}', [entry(metadata={"k": "v", "l": "w", "m": "x"})]),
    "a cut line": ("cut", '{a="b"}', [entry(b"x" * 101)]),
    "more than the rate": ("slow", '{a="b"}', [entry(b"x" * 2000), entry(b"y")]),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_entries_over_a_limit_are_refused_with_lokis_status_and_text(
    loki_url: str, case: tuple[str, str, list[SentEntry]]
) -> None:
    tenant, labels, entries = case
    check(loki_url, tenant, [(labels, entries)])


def test_a_push_without_streams_is_refused_with_lokis_status_and_text(loki_url: str) -> None:
    check(loki_url, "usual", [])


def test_streams_without_entries_are_passed_over(loki_url: str) -> None:
    check(loki_url, "usual", [('{a="b"}', [])])


def test_streams_over_the_limit_of_a_tenant_are_refused_with_lokis_status_and_text(loki_url: str) -> None:
    streams = [(f'{{a="{n}", service_name="s"}}', [entry(), entry(b"y")]) for n in range(3)]
    bench = check(loki_url, "few-streams", streams)
    assert bench.streams.count("few-streams") == 2
    assert len(bench.store.rows) == 4


JSON_BODIES = [
    "{}",
    "null",
    '{"streams": []}',
    '{"streams": [{"values": [["NOW", "x"]]}]}',
    '{"streams": [{"stream": {"a": "b"}}]}',
    '{"streams": [{"stream": {"a": "b"}, "values": null}]}',
    '{"streams": [{"stream": {"a": 1, "b": null}, "values": [["NOW", "x"]]}]}',
    '{"streams": [{"stream": {"a": "b"}, "values": [["NOW"]]}]}',
    '{"streams": [{"stream": {"a": "b"}, "values": [["NOW", "x", {"k": "v"}, 5]]}]}',
    '{"streams": [{"stream": {"a-b": "c"}, "values": [["NOW", "x"]]}]}',
    '{"streams": [{"stream": {"": "c"}, "values": [["NOW", "x"]]}]}',
    '{"streams": [{"stream": {"ä": "c"}, "values": [["NOW", "x"]]}]}',
    '{"streams": [{"stream": {"a": ""}, "values": [["NOW", "x"]]}]}',
]


@pytest.mark.parametrize("body", JSON_BODIES)
def test_json_is_taken_and_refused_as_by_loki(loki_url: str, body: str) -> None:
    content = body.replace("NOW", str(NOW)).encode()
    here = we_answer(Bench(limits=limits_of), "usual", content, "application/json")
    assert here == loki_answers(loki_url, "usual", content, "application/json")


MALFORMED_JSON = [
    "[]",
    '{"streams": [',
    '{"streams": "x"}',
    '{"streams": [null]}',
    '{"streams": [{"stream": null, "values": []}]}',
    '{"streams": [{"stream": {}, "values": "x"}]}',
    *(
        '{"streams": [{"stream": {}, "values": [VALUE]}]}'.replace("VALUE", value)
        for value in (
            '[1, "x"]',
            '["1.5", "x"]',
            '["+5", "x"]',
            '["", "x"]',
            '["99999999999999999999", "x"]',
            '["1", 5]',
            '["1", "x", null]',
            '["1", "x", {"k": 1}]',
            "[]",
        )
    ),
]


@pytest.mark.parametrize("body", MALFORMED_JSON)
def test_malformed_json_is_refused_with_lokis_status(loki_url: str, body: str) -> None:
    """In our own words: Loki's are those of its JSON library."""
    content = body.encode()
    here = we_answer(Bench(limits=limits_of), "usual", content, "application/json")
    assert here.status == loki_answers(loki_url, "usual", content, "application/json").status == 400
