"""Who comes in: tokens, passwords, and what it costs to try."""

from __future__ import annotations

import asyncio
import base64

import pytest

from sillok.errors import Overloaded, Unauthorized
from sillok.http import credentials as room
from sillok.http.credentials import Credentials, hash_password, hash_token, new_token
from sillok.http.settings import Credential, Role

pytestmark = pytest.mark.anyio

TOKEN = new_token()
SENDER = Credential("sender", frozenset({Role.PUSH}), token_hash=hash_token(TOKEN))
READER = Credential("reader", frozenset({Role.READ}), user="kim", password_hash=hash_password("실록"))


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_a_token_proves_its_credential() -> None:
    assert await Credentials([SENDER, READER]).verify(f"Bearer {TOKEN}") is SENDER


async def test_a_password_proves_its_credential() -> None:
    assert await Credentials([SENDER, READER]).verify(basic("kim", "실록")) is READER


async def test_a_token_may_travel_as_a_password_under_its_own_name_only() -> None:
    both = Credentials([SENDER, READER])

    assert await both.verify(basic("sender", TOKEN)) is SENDER
    with pytest.raises(Unauthorized):
        await both.verify(basic("kim", TOKEN))


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        pytest.param(f"Bearer {hash_token(TOKEN)}", id="a hash"),
        "Digest x",
        "Basic ???",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        basic("kim", "wrong"),
        basic("kim", ""),
        basic("nobody", "실록"),
        basic("reader", "실록"),
    ],
)
async def test_anything_else_proves_nothing(authorization: str | None) -> None:
    with pytest.raises(Unauthorized):
        await Credentials([SENDER, READER]).verify(authorization)


def test_hashes_do_not_tell_and_tokens_differ() -> None:
    assert TOKEN not in str(SENDER)
    assert hash_password("x").startswith("$argon2id$")
    assert new_token() != new_token()


async def test_argon2_is_paid_once_for_a_while_right_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(room, "_matches", lambda _hash, password: tried.append(password) or password == "실록")
    clock = Clock()
    known = Credentials([READER], clock=clock)

    for _ in range(5):
        await known.verify(basic("kim", "실록"))
        with pytest.raises(Unauthorized):
            await known.verify(basic("kim", "wrong"))
    assert sorted(tried) == ["wrong", "실록"]

    clock.now_s += room.REMEMBERED_S
    await known.verify(basic("kim", "실록"))
    assert len(tried) == 3


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(room, "_matches", lambda _hash, password: tried.append(password) or True)

    with pytest.raises(Unauthorized):
        await Credentials([READER]).verify(basic("nobody", "x"))

    assert tried == ["x"]


async def test_remembered_pairs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_matches", lambda *_: False)
    monkeypatch.setattr(room, "REMEMBERED_PAIRS", 10)
    known = Credentials([READER])

    for n in range(30):
        with pytest.raises(Unauthorized):
            await known.verify(basic("kim", str(n)))

    assert len(known._remembered) == 10


async def test_guessing_many_at_once_is_refused_and_does_not_hold_up_those_who_are_known() -> None:
    known = Credentials([SENDER, READER])
    await known.verify(basic("kim", "실록"))

    guesses = [asyncio.ensure_future(known.verify(basic("kim", str(n)))) for n in range(room.MAX_WAITING_ATTEMPTS + 5)]
    await asyncio.sleep(0)
    assert await known.verify(basic("kim", "실록")) is READER
    assert await known.verify(f"Bearer {TOKEN}") is SENDER
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)

    assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, Unauthorized) for outcome in outcomes) == room.MAX_WAITING_ATTEMPTS


def test_without_credentials_there_is_nothing_to_prove() -> None:
    assert not Credentials([])
    assert Credentials([SENDER])
