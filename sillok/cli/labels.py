"""`sillok labels`: the names of labels, or the values of one."""

from __future__ import annotations

import argparse
import time

from sillok.cli import config, times
from sillok.cli.command import Command
from sillok.cli.exits import Exit


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="show the values of this label")
    parser.add_argument("--match", metavar="SELECTOR", help="only of streams that match, e.g. '{job=\"docker\"}'")
    times.add_arguments(parser)
    config.add_access_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from sillok.cli.access import query_client

    start_ns, end_ns = times.time_range(args, time.time_ns())
    with query_client(args) as client:
        if args.name:
            found = client.label_values(args.name, start_ns=start_ns, end_ns=end_ns, query=args.match)
        else:
            found = client.labels(start_ns=start_ns, end_ns=end_ns, query=args.match)
    for text in found:
        print(text)
    return Exit.OK


COMMAND = Command(
    name="labels",
    summary="names of labels, or the values of one",
    description="List the names of all labels that streams of the time range have, or the values of one of them.",
    examples=(
        ("sillok labels", "names"),
        ("sillok labels service --since 24h", "the services of a day"),
        ("sillok labels filename --match '{service=\"vllm\"}'", "the files of a service"),
    ),
    add_arguments=_add_arguments,
    run=run,
)
