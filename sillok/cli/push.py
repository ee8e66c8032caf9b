"""`sillok push`: lines of standard input become entries."""

from __future__ import annotations

import argparse
import os
import secrets
import select
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sillok.cli import config
from sillok.cli.command import Command
from sillok.cli.exits import Exit
from sillok.errors import BadRequest, RemoteFailed

if TYPE_CHECKING:
    from sillok.client.loki import PushClient, Pushed
    from sillok.model.labels import LabelSet

MAX_BATCH_LINES = 5000
MAX_BATCH_BYTES = 1024 * 1024
MAX_LINE_BYTES = 8 * 1024 * 1024  # a "line" without an end is cut here; the server's own limit is lower
BATCH_WAIT_S = 0.5  # a line from a slow source waits no longer for others
READ_BYTES = 256 * 1024
MIN_BACKOFF_S = 0.5
MAX_BACKOFF_S = 15.0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--label",
        "-l",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="label of the stream; may be repeated (default job=stdin)",
    )
    parser.add_argument(
        "--retry-for",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to retry a batch (default %(default)s)",
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress, no summary")
    config.add_access_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from sillok.cli.access import push_client
    from sillok.cli.terminal import Progress

    labels = _labels(args.label)
    stored = refused = 0
    reason = ""
    progress = Progress(enabled=not args.quiet)
    with push_client(args) as client:
        for batch in _batches(sys.stdin.fileno()):
            pushed = _push(client, labels, batch, retry_for_s=args.retry_for)
            stored += pushed.stored + pushed.duplicates
            refused += sum(pushed.refused.values())
            reason = pushed.error or reason
            progress.show(f"{stored:,} lines stored")
    progress.clear()
    if not args.quiet:
        print(f"sillok: {stored:,} lines stored", file=sys.stderr)
    if refused:
        print(f"sillok: {refused:,} lines refused: {reason}", file=sys.stderr)
        return Exit.FAILED
    return Exit.OK


def _labels(texts: list[str]) -> LabelSet:
    from sillok.model.labels import is_label_name, label_set

    pairs: dict[str, str] = {}
    for text in texts or ["job=stdin"]:
        name, equals, value = text.partition("=")
        if not equals or not value or not is_label_name(name):
            raise BadRequest(f"--label {text}: expected NAME=VALUE, the name of letters, digits and _")
        pairs[name] = value
    return label_set(pairs)


def _push(client: PushClient, labels: LabelSet, lines: list[tuple[int, bytes]], *, retry_for_s: float) -> Pushed:
    """Push one batch under one id, again while it may help: what is stored already is not stored twice."""
    batch = secrets.token_bytes(16)
    deadline_s = time.monotonic() + retry_for_s
    backoff_s = MIN_BACKOFF_S
    while True:
        try:
            return client.push(labels, lines, batch=batch)
        except RemoteFailed as error:
            wait_s = max(backoff_s, error.retry_after_s or 0.0)
            if not error.is_worth_a_retry or time.monotonic() + wait_s > deadline_s:
                raise
            time.sleep(wait_s)
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)


def _batches(file: int) -> Iterator[list[tuple[int, bytes]]]:
    """Lines with the time they were read, in batches; times never go back, so that the order stays."""
    batch: list[tuple[int, bytes]] = []
    size = 0
    newest_ns = 0
    oldest_s = 0.0
    for line in _lines(file):
        if line is not None:
            newest_ns = max(newest_ns + 1, time.time_ns())
            oldest_s = oldest_s or time.monotonic()
            batch.append((newest_ns, line))
            size += len(line)
        is_full = len(batch) >= MAX_BATCH_LINES or size >= MAX_BATCH_BYTES
        if batch and (is_full or line is None or time.monotonic() - oldest_s >= BATCH_WAIT_S):
            yield batch
            batch, size, oldest_s = [], 0, 0.0
    if batch:
        yield batch


def _lines(file: int) -> Iterator[bytes | None]:
    """Lines without their ends; None when nothing came for a while."""
    rest = b""
    while True:
        if not select.select([file], [], [], BATCH_WAIT_S)[0]:
            yield None
            continue
        read = os.read(file, READ_BYTES)
        if not read:
            break
        *lines, rest = (rest + read).split(b"\n")
        yield from lines
        if len(rest) > MAX_LINE_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest


COMMAND = Command(
    name="push",
    summary="send standard input, a line an entry",
    description="Read lines from standard input and push them. Batches carry ids: a batch that is sent again after a "
    "lost answer is stored once. Exit code 1 when a line was refused.",
    examples=(
        ("dmesg | sillok push --label job=dmesg --label host=$(hostname)", "once"),
        ("tail -F app.log | sillok push -l service=app", "as lines come in"),
    ),
    add_arguments=_add_arguments,
    run=run,
)
