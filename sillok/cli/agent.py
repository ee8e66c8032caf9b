"""`sillok agent`: the collector."""

from __future__ import annotations

import argparse

from sillok.cli import config
from sillok.cli.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--own-log", metavar="GLOB", help=argparse.SUPPRESS)  # `sillok up`: where Sillok's own log is
    config.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    loaded = config.load(args)
    from sillok.cli.collector import agent_settings

    settings = agent_settings(loaded.settings, own_log=args.own_log)
    from sillok.agent import run as agent
    from sillok.cli import log, process

    log.set_up(loaded.settings.log.level)
    process.die_with_parent()
    return agent.run(settings)


COMMAND = Command(
    name="agent",
    summary="the collector alone: files and containers of this machine, pushed to LOKI_URL",
    description="Collect the logs of this machine and push them to a Loki push address, which is the variable LOKI_URL "
    "(or agent.loki_url). What is read is kept on disk until it is stored; order of deployment does not matter.",
    examples=(
        ("LOKI_URL=http://monitoring:3100/loki/api/v1/push sillok agent", "what is found on this machine"),
        ("sillok agent --set agent.files=/srv/*/logs/*.log", "these files (LOKI_URL is in the environment)"),
        (
            "sillok agent --set agent.docker.enabled=false --set agent.host=queue-instance",
            "files only, under this host",
        ),
    ),
    add_arguments=_add_arguments,
    run=run,
)
