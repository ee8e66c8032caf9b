"""What a command is: a name, arguments, and a function that runs it. One command, one file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`run` imports what it needs itself, so that `sillok --help` has nothing to wait for."""

    name: str
    summary: str
    description: str
    examples: Sequence[tuple[str, str]]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
