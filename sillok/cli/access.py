"""The client of a command: from options and environment to an open connection."""

from __future__ import annotations

import argparse

from sillok.cli.config import access_options
from sillok.client.loki import DEFAULT_URL, Access, PushClient, QueryClient


def access(args: argparse.Namespace) -> Access:
    options = access_options(args)
    return Access(
        url=options.url or DEFAULT_URL,
        tenant=options.tenant,
        user=options.user,
        password=options.password,
        token=options.token,
        ca_file=options.ca_file,
    )


def query_client(args: argparse.Namespace) -> QueryClient:
    return QueryClient(access(args))


def push_client(args: argparse.Namespace) -> PushClient:
    return PushClient(access(args))
