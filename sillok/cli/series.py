"""`sillok series`: the streams that match."""

from __future__ import annotations

import argparse
import json
import time

from sillok.cli import config, times
from sillok.cli.command import Command
from sillok.cli.exits import Exit


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "selector", nargs="+", metavar="SELECTOR", help="e.g. '{job=\"docker\"}'; several are joined by or"
    )
    parser.add_argument("--output", "-o", choices=("pretty", "jsonl"), default="pretty")
    times.add_arguments(parser)
    config.add_access_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from sillok.cli.access import query_client
    from sillok.model.labels import format_labels

    start_ns, end_ns = times.time_range(args, time.time_ns())
    with query_client(args) as client:
        for labels in client.series(args.selector, start_ns=start_ns, end_ns=end_ns):
            print(json.dumps(dict(labels), ensure_ascii=False) if args.output == "jsonl" else format_labels(labels))
    return Exit.OK


COMMAND = Command(
    name="series",
    summary="label sets of the streams that match",
    description="List the label sets of all streams that match a selector and have lines in the time range.",
    examples=(
        ("sillok series '{job=\"docker\"}'", "the streams of all containers"),
        ("sillok series '{host=~\".+\"}' --since 24h -o jsonl", "of a day, for programs"),
    ),
    add_arguments=_add_arguments,
    run=run,
)
