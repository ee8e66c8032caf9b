"""`sillok doctor config FILE…`: what a configuration file means here, before anything is started with it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sillok.cli import config
from sillok.cli.command import Command
from sillok.cli.exits import Exit
from sillok.errors import ConfigError


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    checks = parser.add_subparsers(title="what to look at", dest="subject", metavar="SUBJECT", required=True)
    below = checks.add_parser("config", help="configuration files", description="Check configuration files.")
    files = below.add_argument(
        "files", nargs="*", metavar="FILE", help="sillok.yaml or Loki's; none: the environment alone"
    )
    files.complete = "file"  # type: ignore[attr-defined]
    below.add_argument(
        "--expand-env", action="store_true", help="replace ${NAME} in Loki's file, as -config.expand-env"
    )
    below.add_argument("--quiet", action="store_true", help="warnings and errors only")


def run(args: argparse.Namespace) -> int:
    worst = Exit.OK
    for file in args.files or [None]:
        worst = max(worst, _check(file, args))
    return worst


def _check(file: str | None, args: argparse.Namespace) -> Exit:
    from sillok.cli.house import binds_of, check_exposure, check_selectors, server_settings
    from sillok.config import effective

    asked = argparse.Namespace(
        config=None, loki_file=None, loki_expand="true" if args.expand_env else "false", overrides=[], data=None
    )
    try:
        if file is not None and _is_lokis(file):
            asked.loki_file = file
        else:
            asked.config = file
        loaded = config.load(asked)
        check_selectors(loaded.effective)
        settings = server_settings(loaded.settings)
        warnings = [*loaded.warnings, *check_exposure(binds_of(loaded.settings), settings)]
    except ConfigError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return Exit.USAGE
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if not args.quiet:
        print(f"# the effective configuration{' of ' + file if file else ''}")
        print(effective.render(loaded.effective), end="")
    print(f"{file or 'environment'}: ok, {len(warnings)} warning{'' if len(warnings) == 1 else 's'}", file=sys.stderr)
    return Exit.OK


LOKI_SECTIONS = frozenset(
    (
        "auth_enabled",
        "limits_config",
        "schema_config",
        "common",
        "ingester",
        "storage_config",
        "compactor",
        "target",
        "table_manager",
        "ruler",
        "analytics",
        "query_range",
        "frontend",
        "querier",
        "chunk_store_config",
        "memberlist",
    )
)


def _is_lokis(file: str) -> bool:
    from sillok.config import document

    root = document.read(config.read_text(Path(file)), file)
    return any(key.text in LOKI_SECTIONS for key, _ in root.pairs)


COMMAND = Command(
    name="doctor",
    summary="check configuration files",
    description="Say what is wrong with configuration files, which settings have no meaning here, and what the result "
    "is. Exit code 2 when a file cannot be used.",
    examples=(
        ("sillok doctor config sillok.yaml", "errors, warnings, the effective configuration"),
        ("sillok doctor config loki-config.yaml --quiet", "what of a Loki's file is not used"),
    ),
    add_arguments=_add_arguments,
    run=run,
)
