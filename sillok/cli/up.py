"""`sillok up`: server and collector of this machine, in one process tree."""

from __future__ import annotations

import argparse

from sillok.cli import config
from sillok.cli.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", metavar="HOST:PORT", action="append", help="address of the server; may be repeated")
    parser.add_argument("--auth-enabled", action="store_true", help="requests name their tenant in X-Scope-OrgID")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress line")
    config.add_arguments(parser)
    config.add_loki_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from sillok.cli.supervisor import supervise

    return supervise(args)


COMMAND = Command(
    name="up",
    summary="server and collector for this machine",
    description="Start a server on 127.0.0.1:3100 and a collector that reads what this machine has: /var/log, ./logs, "
    "Docker's containers and Sillok's own log. Ctrl-C stops both within 5 seconds; the next start goes on where this "
    "one stopped.",
    examples=(
        ("sillok up", "everything below ./sillok-data"),
        ("sillok up --data /srv/sillok --listen :3100", "elsewhere, for other machines too"),
        ("LOKI_URL=http://monitoring:3100/loki/api/v1/push sillok up", "the collector pushes to another server"),
    ),
    add_arguments=_add_arguments,
    run=run,
)
