"""`sillok serve`: the server."""

from __future__ import annotations

import argparse
import logging

from sillok.cli import config
from sillok.cli.command import Command

_log = logging.getLogger("sillok.serve")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        action="append",
        help="address to listen on, e.g. 127.0.0.1:3100 or :3100 for every interface; may be repeated",
    )
    parser.add_argument("--auth-enabled", action="store_true", help="requests name their tenant in X-Scope-OrgID")
    # What `sillok up` gives its own collector; not for people.
    parser.add_argument("--collector-token-hash", metavar="HEX", help=argparse.SUPPRESS)
    config.add_arguments(parser)
    config.add_loki_arguments(parser)


def run(args: argparse.Namespace) -> int:
    loaded = config.load(args)
    from sillok.cli import log, process

    log.set_up(loaded.settings.log.level)
    process.die_with_parent()
    from sillok.cli.house import House, binds_of, check_exposure, check_selectors, server_settings
    from sillok.cli.server import serve
    from sillok.http import listener

    if loaded.files:
        _log.info("configuration: %s", ", ".join(loaded.files))
    for warning in loaded.warnings:
        _log.warning("%s", warning)
    check_selectors(loaded.effective)
    binds = binds_of(loaded.settings)
    settings = server_settings(loaded.settings, collector_token_hash=args.collector_token_hash)
    for warning in check_exposure(binds, settings):
        _log.warning("%s", warning)
    house = House(loaded.effective, settings)
    return listener.run(serve(house, binds))


COMMAND = Command(
    name="serve",
    summary="the server alone: store, HTTP APIs and web page",
    description="Start the server. It writes below the data folder only, answers 200 at /ready once it is ready, "
    "and stops on SIGTERM or Ctrl-C within 5 seconds.",
    examples=(
        ("sillok serve", "on 127.0.0.1:3100, data in ./sillok-data"),
        ("sillok serve --data /srv/sillok --listen :3100 --listen :3004", "on every interface, two ports"),
        ("sillok serve --set limits.retention_period=14d", "any key of sillok.yaml"),
        ("sillok serve -config.file loki-config.yaml", "with the configuration of a Loki"),
    ),
    add_arguments=_add_arguments,
    run=run,
)
