"""`sillok hash-token`, `sillok hash-password`."""

from __future__ import annotations

import asyncio
import base64
import io

import pytest

from sillok.cli.main import main
from sillok.http.credentials import Credentials, hash_token
from sillok.http.settings import Credential, Role


def test_a_new_token_is_shown_apart_from_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hash-token"]) == 0
    shown = capsys.readouterr()
    token = shown.err.split()[1]
    assert shown.out == f"token_hash: {hash_token(token)}\n"
    assert token not in shown.out


def test_a_token_of_ones_own_must_be_too_long_to_guess(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert main(["hash-token", "--stdin"]) == 1
    assert "at least 32 characters" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("x" * 32 + "\n"))
    assert main(["hash-token", "--stdin"]) == 0
    assert capsys.readouterr().out == hash_token("x" * 32) + "\n"


def test_a_hashed_password_lets_its_user_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert main(["hash-password", "--stdin"]) == 0
    hashed = capsys.readouterr().out.strip()
    credential = Credential("a", frozenset({Role.READ}), user="u", password_hash=hashed)
    header = "Basic " + base64.b64encode(b"u:correct horse").decode()
    assert asyncio.run(Credentials([credential]).verify(header)) == credential


def test_a_short_password_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert main(["hash-password", "--stdin"]) == 1
    assert "at least 8 characters" in capsys.readouterr().err
