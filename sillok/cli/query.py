"""`sillok query`: lines and numbers by LogQL, like logcli."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from sillok.cli import config, times
from sillok.cli.command import Command
from sillok.cli.exits import Exit
from sillok.errors import BadRequest, RemoteFailed

if TYPE_CHECKING:
    from sillok.cli.lines import LinePrinter
    from sillok.client.loki import QueryClient, TailFrame

DEFAULT_LIMIT = 100
DEFAULT_BATCH = 5000  # what a Loki gives at once unless told otherwise
TAIL_LIMIT = 100  # lines from before the tail began
RESUMED_TAIL_LIMIT = 5000  # lines that came in while the connection was lost
RECONNECT_S = 1.0
MAX_STEPS = 250  # points of a metric query without --step


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", help='LogQL, e.g. \'{service="vllm"} |= "error"\'')
    times.add_arguments(parser)
    group = parser.add_argument_group("what to show")
    group.add_argument("--limit", "-n", type=int, default=None, help=f"most lines; 0: all (default {DEFAULT_LIMIT})")
    group.add_argument(
        "--batch", type=int, default=DEFAULT_BATCH, help="lines asked for at a time (default %(default)s)"
    )
    group.add_argument("--forward", action="store_true", help="oldest first")
    group.add_argument("--tail", "-f", action="store_true", help="go on with what comes in, until Ctrl-C")
    group.add_argument(
        "--delay-for", type=int, default=0, metavar="SECONDS", help="let a tail wait for late lines, at most 5"
    )
    group.add_argument("--instant", action="store_true", help="evaluate a metric query at one time: --to, or now")
    group.add_argument("--step", metavar="DURATION", help="resolution of a metric query")
    group.add_argument("--output", "-o", choices=("pretty", "raw", "jsonl"), default="pretty")
    group.add_argument("--labels", action="store_true", help="pretty: show all labels of each line")
    group.add_argument("--utc", action="store_true", help="times in UTC")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    group.add_argument("--quiet", "-q", action="store_true", help="no progress, no notes")
    config.add_access_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from sillok.cli.access import query_client
    from sillok.cli.lines import LinePrinter

    if args.batch < 1 or (args.limit is not None and args.limit < 0):
        raise BadRequest("--batch counts from 1, --limit from 0")
    printer = LinePrinter(args.output, colour=args.color, all_labels=args.labels, utc=args.utc)
    with query_client(args) as client:
        if args.tail:
            return _tail(args, client, printer)
        if args.instant or not _is_log_query(args.query):
            return _evaluate(args, client, printer)
        return _list(args, client, printer)


def _is_log_query(query: str) -> bool:
    """Selectors begin with a brace; the server judges everything else."""
    return query.lstrip().startswith("{")


def _list(args: argparse.Namespace, client: QueryClient, printer: LinePrinter) -> int:
    from sillok.cli.terminal import Progress
    from sillok.client import pages

    start_ns, end_ns = times.time_range(args, time.time_ns())
    limit = DEFAULT_LIMIT if args.limit is None else args.limit or None
    # On a terminal the lines themselves are the progress.
    progress = Progress(enabled=not args.quiet and not sys.stdout.isatty())
    count = 0
    try:
        for entry in pages.entries(
            client,
            args.query,
            start_ns=start_ns,
            end_ns=end_ns,
            limit=limit,
            newest_first=not args.forward,
            page=args.batch,
        ):
            printer.show(entry)
            count += 1
            progress.show(f"{count:,} lines")
    finally:
        progress.clear()
    if not args.quiet:
        _note(count, limit, args)
    return Exit.OK


def _note(count: int, limit: int | None, args: argparse.Namespace) -> None:
    """What the lines themselves do not say: that there were none, or that there may be more."""
    if count == 0:
        since = "" if args.start or args.since else f" in the last {times.DEFAULT_SINCE}; --since looks further back"
        print(f"sillok: no lines{since}", file=sys.stderr)
    elif count == limit:
        print(f"sillok: {count:,} lines shown, there may be more: --limit 0 shows all", file=sys.stderr)


def _tail(args: argparse.Namespace, client: QueryClient, printer: LinePrinter) -> int:
    """Follow until Ctrl-C; a connection that is lost is made again, from the newest line that was seen."""
    now_ns = time.time_ns()
    if args.end:
        raise BadRequest("a tail has no end: leave --to out")
    start_ns = times.time_range(args, now_ns)[0] if args.start or args.since else now_ns
    limit = TAIL_LIMIT if args.limit is None else args.limit
    is_open = False
    while True:
        try:
            for frame in client.tail(args.query, start_ns=start_ns, limit=limit, delay_for_s=args.delay_for):
                is_open = True
                limit = RESUMED_TAIL_LIMIT
                _show_frame(frame, printer, quiet=args.quiet)
                start_ns = max(start_ns, *(entry.time_ns + 1 for entry in frame.entries), 0)
        except RemoteFailed as error:
            if not is_open or not error.is_worth_a_retry:
                raise
            if not args.quiet:
                print(f"sillok: {error}; trying again", file=sys.stderr)
            time.sleep(RECONNECT_S)


def _show_frame(frame: TailFrame, printer: LinePrinter, *, quiet: bool) -> None:
    for entry in frame.entries:
        printer.show(entry)
    printer.flush()
    if frame.dropped and not quiet:
        print(f"sillok: {frame.dropped:,} lines came too fast and were left out", file=sys.stderr)


def _evaluate(args: argparse.Namespace, client: QueryClient, printer: LinePrinter) -> int:
    start_ns, end_ns = times.time_range(args, time.time_ns())
    limit = args.limit or DEFAULT_LIMIT
    if args.instant:
        answer = client.query(args.query, time_ns=end_ns, limit=limit, newest_first=not args.forward)
    else:
        step_ns = times.since_ns(args.step) if args.step else max((end_ns - start_ns) // MAX_STEPS, times.SECOND_NS)
        answer = client.query_range(
            args.query, start_ns=start_ns, end_ns=end_ns, limit=limit, newest_first=not args.forward, step_ns=step_ns
        )
    for warning in answer.warnings:
        print(f"sillok: {warning}", file=sys.stderr)
    for entry in answer.entries:
        printer.show(entry)
    if answer.kind != "streams":
        printer.show_result(answer.kind, answer.result)
    return Exit.OK


COMMAND = Command(
    name="query",
    summary="show lines, or follow them live",
    description="Ask a server with LogQL: lines for a log query, numbers for a metric query. Works with any Loki.",
    examples=(
        ('sillok query \'{service="vllm"} |= "error"\' --since 1h', "newest lines first"),
        ("sillok query '{host=\"backend-instance\"}' --tail", "live, until Ctrl-C"),
        (
            'sillok query \'{job="docker"} |= "user_id_123"\' --from 13:00 --to 13:05 --forward --limit 0',
            "all of five minutes",
        ),
        ("sillok query '{level=\"error\"}' --output jsonl | jq -r .line", "for programs"),
        ("sillok query 'sum by (service) (rate({job=\"docker\"}[1m]))' --since 10m", "numbers"),
    ),
    add_arguments=_add_arguments,
    run=run,
)
