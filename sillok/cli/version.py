"""`sillok version`."""

from __future__ import annotations

import argparse
import platform

import sillok
from sillok.cli.command import Command
from sillok.cli.exits import Exit


def run(_args: argparse.Namespace) -> int:
    print(f"sillok {sillok.__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})")
    return Exit.OK


COMMAND = Command(
    name="version",
    summary="print the version",
    description="Print the version of Sillok and of the Python it runs on.",
    examples=(("sillok version", "the version"),),
    add_arguments=lambda _parser: None,
    run=run,
)
