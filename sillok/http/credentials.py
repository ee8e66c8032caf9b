"""Credentials: bearer tokens and basic auth, hashed; what they prove is a `Credential`.

Tokens are generated (256 bits), so a plain SHA-256 of them gives nothing away; passwords are chosen by
people and get argon2. Argon2 takes tens of milliseconds and 64 MiB on purpose, so a pair that was
verified is remembered (as a keyed hash, for a bounded time), and attempts are made one at a time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import argon2

from sillok.errors import Overloaded, Unauthorized
from sillok.http.settings import Credential

TOKEN_PREFIX = "sillok_"  # noqa: S105 - marks our tokens in other people's files, is no secret
TOKEN_BYTES = 32

REMEMBERED_PAIRS = 1024
REMEMBERED_S = 300.0
# Wrong passwords are remembered too, shortly: a client with an old password must not keep argon2 busy.
WRONG_REMEMBERED_S = 10.0
MAX_WAITING_ATTEMPTS = 32

_HASHER = argon2.PasswordHasher()


def new_token() -> str:
    """A token that cannot be guessed."""
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


class Credentials:
    """All credentials of a server, and the pairs verified lately."""

    def __init__(self, credentials: Sequence[Credential], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._by_token = {c.token_hash: c for c in credentials if c.token_hash is not None}
        self._by_user = {c.user: c for c in credentials if c.user is not None and c.password_hash is not None}
        # Verifying against this when the user is unknown makes a wrong name take as long as a wrong password.
        self._decoy = next((c.password_hash for c in self._by_user.values()), None)
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    def __bool__(self) -> bool:
        return bool(self._by_token or self._by_user)

    async def verify(self, authorization: str | None) -> Credential:
        """The credential that an `Authorization` header proves.

        Raises:
            Unauthorized: there is no header, or it proves nothing.
            Overloaded: too many unknown passwords wait to be verified.
        """
        scheme, _, proof = (authorization or "").partition(" ")
        match scheme.lower():
            case "bearer":
                return self._verify_token(proof.strip())
            case "basic":
                user, password = _split_basic(proof.strip())
                return await self._verify_password(user, password)
            case "":
                raise Unauthorized("no credentials: send `Authorization: Bearer <token>` or basic auth")
        raise Unauthorized("unknown authorization scheme: use Bearer or Basic")

    def _verify_token(self, token: str) -> Credential:
        found = self._by_token.get(hash_token(token))
        if found is None:
            raise Unauthorized("wrong credentials")
        return found

    async def _verify_password(self, user: str, password: str) -> Credential:
        # A token may travel as the password of basic auth, for senders that know nothing else.
        by_token = self._by_token.get(hash_token(password))
        if by_token is not None and user in (by_token.name, by_token.user):
            return by_token
        if not await self._is_right(user, password):
            raise Unauthorized("wrong credentials")
        return self._by_user[user]

    async def _is_right(self, user: str, password: str) -> bool:
        pair = self._pair(user, password)
        remembered = self._recall(pair)
        if remembered is not None:
            return remembered
        if self._decoy is None:
            return False
        if self._waiting >= MAX_WAITING_ATTEMPTS:
            raise Overloaded("too many log-ins at once", retry_after_s=1.0)
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return await self._try(user, password, pair)
        finally:
            self._waiting -= 1

    async def _try(self, user: str, password: str, pair: bytes) -> bool:
        remembered = self._recall(pair)
        if remembered is not None:
            return remembered
        known = self._by_user.get(user)
        password_hash = (known.password_hash if known is not None else None) or self._decoy
        assert password_hash is not None
        is_right = await asyncio.to_thread(_matches, password_hash, password) and known is not None
        self._remember(pair, is_right)
        return is_right

    def _pair(self, user: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{len(user)}:{user}:{password}".encode(), "sha256")

    def _recall(self, pair: bytes) -> bool | None:
        is_right, until = self._remembered.get(pair, (False, 0.0))
        return is_right if self._clock() < until else None

    def _remember(self, pair: bytes, is_right: bool) -> None:
        self._remembered[pair] = (is_right, self._clock() + (REMEMBERED_S if is_right else WRONG_REMEMBERED_S))
        self._remembered.move_to_end(pair)
        while len(self._remembered) > REMEMBERED_PAIRS:
            self._remembered.popitem(last=False)


def _split_basic(proof: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(proof, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthorized("the basic auth header cannot be read") from None
    return user, password


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
