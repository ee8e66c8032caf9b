"""`sillok completion SHELL`: a script that completes commands, options and file names."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sillok.cli.command import Command
from sillok.cli.exits import Exit

SHELLS = ("bash", "zsh", "tcsh")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def run(args: argparse.Namespace) -> int:
    import shtab

    parser: argparse.ArgumentParser = args.whole
    for action in _actions(parser):
        if hasattr(action, "complete") and isinstance(action.complete, str):
            action.complete = {"file": shtab.FILE, "directory": shtab.DIRECTORY}[action.complete]
    print(shtab.complete(parser, shell=args.shell))
    return Exit.OK


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)


COMMAND = Command(
    name="completion",
    summary="print a completion script for a shell",
    description="Print a script that lets the shell complete commands, options and file names.",
    examples=(
        ("source <(sillok completion bash)", "bash, for this session"),
        ("sillok completion bash > ~/.local/share/bash-completion/completions/sillok", "bash, for ever"),
        ("sillok completion zsh > ~/.zfunc/_sillok", "zsh; ~/.zfunc must be in $fpath"),
    ),
    add_arguments=_add_arguments,
    run=run,
)
