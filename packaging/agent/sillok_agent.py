"""`sillok-agent`: the command `sillok agent` by itself, for machines that only collect."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import sillok
from sillok.cli.agent import COMMAND
from sillok.cli.exits import Exit
from sillok.errors import ConfigError, SillokError

PROGRAM = "sillok-agent"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the collector; the exit code, which means what it means for `sillok`."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=COMMAND.description,
        epilog=_examples(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {sillok.__version__}")
    COMMAND.add_arguments(parser)
    args = parser.parse_args(argv)
    try:
        return COMMAND.run(args)
    except ConfigError as error:
        return _fail(error, Exit.USAGE)
    except SillokError as error:
        return _fail(error, Exit.FAILED)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _examples() -> str:
    rows = ((command.replace("sillok agent", PROGRAM), meaning) for command, meaning in COMMAND.examples)
    return "examples:\n" + "\n".join(f"  {command}\n      {meaning}" for command, meaning in rows)


def _fail(error: Exception, code: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
