"""Sending: what an answer means, when it is tried again, and with what credentials."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sillok.agent.custody import Custody, Sealed
from sillok.agent.notices import Notices
from sillok.agent.sender import Backoff, Retry, Sender
from sillok.agent.settings import Target
from tests.agent.store import Answer, Push, Store


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as made:
        yield made


@pytest.fixture
def custody(tmp_path: Path) -> Iterator[Custody]:
    made = Custody(tmp_path / "data", spool_bytes=1 << 22)
    made.open()
    yield made
    made.close()


def put(custody: Custody, *texts: str) -> None:
    from sillok.agent.batch import Batch

    for number, text in enumerate(texts):
        batch = Batch()
        batch.stream('{a="b"}').append((1_700_000_000_000_000_000 + number, text.encode(), (), number))
        batch.count("x", lines=1, line_bytes=len(text))
        custody.ledger.read("x", 1)
        custody.put(batch.seal())


def send(custody: Custody, target: Target, until: Callable[[], bool]) -> Sender:
    """Run a sender until `until`, at most 10 s."""
    sender = Sender(target, custody, Notices(), user_agent="test/1")

    async def main() -> None:
        sending = asyncio.create_task(sender.run())
        for _ in range(1000):
            if until() or sending.done():
                break
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(main())
    assert until(), custody.ledger.total()
    return sender


async def _for_a_moment(sender: Sender) -> None:
    sending = asyncio.create_task(sender.run())
    await asyncio.sleep(0.5)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


def settled(custody: Custody, count: int) -> Callable[[], bool]:
    return lambda: custody.spool.settled >= count


def fast(url: str, **changed: object) -> Target:
    return Target(url, min_backoff_s=0.01, max_backoff_s=0.02, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 401, 403, 404, 408, 307])
def test_what_may_become_better_is_sent_again_with_the_same_bytes(store: Store, custody: Custody, status: int) -> None:
    put(custody, "one", "two")
    answers = iter([Answer(status), Answer(status), Answer(), Answer()])
    store.answer = lambda push: next(answers)
    sender = send(custody, fast(store.url), settled(custody, 2))
    assert store.texts() == [b"one", b"two"]
    assert len({(push.batch, push.body) for push in store.pushes[:3]}) == 1
    assert sender.retries == 2
    assert custody.ledger.total().stored == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_for_good_is_counted_and_the_next_follows(store: Store, custody: Custody, status: int) -> None:
    put(custody, "bad", "good")
    store.answer = lambda push: Answer(status, body=b"no") if push.lines[0].text == b"bad" else Answer()
    send(custody, fast(store.url), settled(custody, 2))
    total = custody.ledger.total()
    assert total.refused == {f"http_{status}": 1}
    assert total.stored == 1
    assert total.is_balanced


def test_a_lost_answer_is_asked_for_again(store: Store, custody: Custody) -> None:
    put(custody, "one")
    answers = iter([Answer(is_answered=False), Answer()])
    store.answer = lambda push: next(answers)
    send(custody, fast(store.url), settled(custody, 1))
    assert store.texts() == [b"one"]
    assert custody.ledger.total().stored == 1


def test_a_receipt_of_another_batch_is_not_believed(store: Store, custody: Custody) -> None:
    put(custody, "one")
    wrong = json.dumps({"batch": "00" * 16, "stored": 0, "refused": {"x": 1}})
    store.gives_receipts = False
    store.answer = lambda push: Answer(headers={"X-Sillok-Receipt": wrong})
    send(custody, fast(store.url), settled(custody, 1))
    assert custody.ledger.total().stored == 1


def test_a_loki_without_receipts_is_taken_at_its_word(custody: Custody) -> None:
    put(custody, "one")
    with Store(gives_receipts=False) as store:
        send(custody, fast(store.url), settled(custody, 1))
    assert custody.ledger.total().stored == 1


def test_headers_say_who_sends_what(store: Store, custody: Custody, tmp_path: Path) -> None:
    put(custody, "one")
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    send(custody, fast(store.url, tenant="team-a", bearer_token_file=token), settled(custody, 1))
    (push,) = store.pushes
    assert push.headers["X-Scope-OrgID"] == "team-a"
    assert push.headers["Authorization"] == "Bearer s3cret"
    assert push.headers["Content-Type"] == "application/x-protobuf"
    assert push.headers["X-Sillok-Batch"] == push.batch
    assert len(push.batch) == 32


def test_basic_credentials_are_sent(store: Store, custody: Custody) -> None:
    put(custody, "one")
    send(custody, fast(store.url, user="me", password="pw"), settled(custody, 1))
    assert store.pushes[0].headers["Authorization"] == "Basic bWU6cHc="


def test_a_token_that_is_renewed_is_used(store: Store, custody: Custody, tmp_path: Path) -> None:
    put(custody, "one")
    token = tmp_path / "token"

    def answer(push: Push) -> Answer:
        return Answer() if push.headers["Authorization"] == "Bearer new" else Answer(401, body=b"who?")

    store.answer = answer
    token.write_text("old")

    def renews() -> bool:
        if store.pushes:
            token.write_text("new")
        return custody.spool.settled == 1

    send(custody, fast(store.url, bearer_token_file=token), renews)
    assert store.texts() == [b"one"]


def test_a_store_with_a_certificate_of_our_own_authority(custody: Custody, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    put(custody, "one")
    with Store() as store:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        store.use_tls(context)
        url = store.url.replace("http:", "https:")
        distrusting = Sender(fast(url), custody, Notices(), user_agent="test/1")
        asyncio.run(_for_a_moment(distrusting))
        assert "certificate" in (distrusting.last_error or "").lower()
        assert custody.ledger.total().stored == 0
        send(custody, fast(url, ca_file=certificate), settled(custody, 1))
        assert store.texts() == [b"one"]


def test_waits_double_up_to_the_bound_and_start_again() -> None:
    backoff = Backoff(0.5, 300, pick=lambda low, high: low)
    waits = [backoff.next(Retry("x")) for _ in range(12)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    backoff.reset()
    assert backoff.next(Retry("x")) == 0.5


def test_a_server_that_says_when_is_obeyed_and_a_dead_port_is_asked_more_often() -> None:
    backoff = Backoff(0.5, 300, pick=lambda low, high: high)
    assert backoff.next(Retry("x", after_s=20)) == 20
    assert backoff.next(Retry("x", after_s=1e9)) == 300
    for _ in range(10):
        assert backoff.next(Retry("x", is_connection=True)) <= 30


def test_sealed_batches_of_equal_content_are_equal_bytes() -> None:
    from sillok.agent.batch import Batch

    def seal(*order: str) -> Sealed:
        batch = Batch()
        for labels in order:
            batch.stream(labels).append((1, b"x", (), 0))
            batch.count("s", lines=1, line_bytes=1)
        return batch.seal()

    assert seal('{a="1"}', '{a="2"}').body == seal('{a="2"}', '{a="1"}').body
