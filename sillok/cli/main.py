"""`sillok`: finds the command, runs it, turns errors into a text and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import sillok
from sillok.cli import agent, completion, doctor, labels, push, query, secrets, series, serve, up, version
from sillok.cli.command import Command
from sillok.cli.exits import MEANING, Exit
from sillok.errors import ConfigError, SillokError

COMMANDS: tuple[Command, ...] = (
    up.COMMAND,
    serve.COMMAND,
    agent.COMMAND,
    query.COMMAND,
    labels.COMMAND,
    series.COMMAND,
    push.COMMAND,
    doctor.COMMAND,
    secrets.HASH_TOKEN,
    secrets.HASH_PASSWORD,
    completion.COMMAND,
    version.COMMAND,
)

DESCRIPTION = (
    "One place for the logs of all your servers, and proof that nothing is missing. Speaks Loki's protocols: "
    "Grafana, promtail, logcli and Loki's client libraries work as they are."
)
EXAMPLES = (
    ("sillok up", "a server and a collector for this machine, on http://127.0.0.1:3100"),
    ('sillok query \'{service="vllm"} |= "error"\' --since 1h', "lines of the last hour"),
    ("sillok query '{level=\"error\"}' --tail", "errors of everything, live"),
    ("sillok COMMAND --help", "options and examples of a command"),
)


class _Parser(argparse.ArgumentParser):
    """Errors in one line, with the way to the help."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(Exit.USAGE, f"{self.prog}: {message}\ntry `{self.prog} --help`\n")


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sillok",
        description=DESCRIPTION,
        epilog=_epilog(EXAMPLES, with_codes=True),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", "-version", action="version", version=f"sillok {sillok.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for command in COMMANDS:
        below = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=_epilog(command.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(below)
        below.set_defaults(run=command.run, whole=parser)  # the completion script is made of the whole
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return Exit.USAGE
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except ConfigError as error:
        return _complain(str(error), Exit.USAGE)
    except SillokError as error:
        return _complain(str(error), Exit.FAILED)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python must not try to flush it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    return code


def _complain(text: str, code: Exit) -> int:
    for line in text.splitlines():
        print(f"sillok: {line}", file=sys.stderr)
    return code


def _epilog(examples: Sequence[tuple[str, str]], *, with_codes: bool = False) -> str:
    width = max(len(example) for example, _ in examples)
    lines = ["examples:"]
    for example, meaning in examples:
        lines += [f"  {example:{width}}  {meaning}"] if width <= 44 else [f"  {example}", f"      {meaning}"]
    if with_codes:
        lines += ["", "exit codes:", *(f"  {code:<4d} {meaning}" for code, meaning in MEANING.items())]
    return "\n".join(lines)
