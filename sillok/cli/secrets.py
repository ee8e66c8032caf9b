"""`sillok hash-token`, `sillok hash-password`: what goes into `auth.credentials`."""

from __future__ import annotations

import argparse
import sys

from sillok.cli.command import Command
from sillok.cli.exits import Exit
from sillok.errors import BadRequest

MIN_PASSWORD_LENGTH = 8
MIN_TOKEN_LENGTH = 32  # tokens are hashed fast, so they must be too long to guess


def _hash_token(args: argparse.Namespace) -> int:
    from sillok.http.credentials import hash_token, new_token

    if args.stdin:
        token = sys.stdin.readline().rstrip("\n")
        if len(token) < MIN_TOKEN_LENGTH:
            raise BadRequest(
                f"a token needs at least {MIN_TOKEN_LENGTH} characters; without --stdin a good one is made"
            )
        print(hash_token(token))
        return Exit.OK
    token = new_token()
    print(f"token:      {token}", file=sys.stderr)
    print("keep it: it is shown once. Into auth.credentials goes", file=sys.stderr)
    print(f"token_hash: {hash_token(token)}")
    return Exit.OK


def _hash_password(args: argparse.Namespace) -> int:
    from sillok.http.credentials import hash_password

    password = sys.stdin.readline().rstrip("\n") if args.stdin or not sys.stdin.isatty() else _ask_twice()
    if len(password) < MIN_PASSWORD_LENGTH:
        raise BadRequest(f"a password needs at least {MIN_PASSWORD_LENGTH} characters")
    print(hash_password(password))
    return Exit.OK


def _ask_twice() -> str:
    from getpass import getpass

    password = getpass("password: ")
    if getpass("again: ") != password:
        raise BadRequest("the two are not the same")
    return password


def _add_stdin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stdin", action="store_true", help="read it from standard input, one line")


HASH_TOKEN = Command(
    name="hash-token",
    summary="make a bearer token and the hash for auth.credentials",
    description="Make a bearer token, or read one, and print the `token_hash` for auth.credentials. "
    "The token itself is written nowhere but to your terminal.",
    examples=(
        ("sillok hash-token", "a new token and its hash"),
        ("sillok hash-token --stdin < token.txt", "the hash of a token you have"),
    ),
    add_arguments=_add_stdin,
    run=_hash_token,
)
HASH_PASSWORD = Command(
    name="hash-password",
    summary="hash a password for auth.credentials",
    description="Ask for a password, or read it, and print the `password_hash` for auth.credentials.",
    examples=(
        ("sillok hash-password", "asks twice"),
        ("echo 'correct horse' | sillok hash-password --stdin", "from standard input"),
    ),
    add_arguments=_add_stdin,
    run=_hash_password,
)
