"""From the command line and the environment to settings: files are read here and nowhere else."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sillok.errors import ConfigError

if TYPE_CHECKING:
    from sillok.config.sillok import Assignment, Effective, Settings

DEFAULT_FILE = Path("sillok.yaml")
FILE_VARIABLE = "SILLOK_CONFIG"

# Flags of Loki's that say the same as a key of ours.
LOKI_FLAGS = {
    "server.http-listen-port": "the port, on the address of -server.http-listen-address",
    "server.http-listen-address": "the address to listen on",
    "auth.enabled": "auth.enabled",
    "log.level": "log.level",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, where they came from, and what the reader of a file has to be told."""

    effective: Effective
    files: Sequence[str]
    warnings: Sequence[str]

    @property
    def settings(self) -> Settings:
        return self.effective.settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `serve`, `agent` and `up` share."""
    group = parser.add_argument_group("configuration (docs/reference/configuration.md)")
    file_action = group.add_argument(
        "--config",
        metavar="FILE",
        help=f"sillok.yaml; without it ${FILE_VARIABLE}, or ./{DEFAULT_FILE} when it is there",
    )
    file_action.complete = "file"  # type: ignore[attr-defined]
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="set a key, e.g. --set limits.retention_period=14d; may be repeated",
    )
    data_action = group.add_argument("--data", metavar="DIR", help="folder for everything Sillok writes")
    data_action.complete = "directory"  # type: ignore[attr-defined]


def add_loki_arguments(parser: argparse.ArgumentParser) -> None:
    """Loki's own flags, as Loki writes them: one dash."""
    group = parser.add_argument_group("as Loki has them")
    file_action = group.add_argument(
        "-config.file", "--config.file", metavar="FILE", dest="loki_file", help="an existing Loki configuration file"
    )
    file_action.complete = "file"  # type: ignore[attr-defined]
    group.add_argument(
        "-config.expand-env",
        "--config.expand-env",
        metavar="true|false",
        dest="loki_expand",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="replace ${NAME} in that file by the environment's values",
    )
    for name, help_text in LOKI_FLAGS.items():
        group.add_argument(f"-{name}", f"--{name}", metavar="VALUE", dest=f"loki:{name}", help=help_text)


def load(args: argparse.Namespace, *, flags: Sequence[Assignment] = ()) -> Loaded:
    """The settings of this command line.

    Raises:
        ConfigError: a file cannot be read, or something in it, in the environment or in a flag is wrong.
    """
    from sillok.config import loki, sillok

    below: Sequence[Assignment] = ()
    warnings: list[str] = []
    files: list[str] = []
    loki_file = getattr(args, "loki_file", None)
    if loki_file:
        text = read_text(Path(loki_file))
        variables = dict(os.environ) if args.loki_expand == "true" else None
        existing = loki.read_loki(text, loki_file, variables=variables)
        below, warnings = existing.assignments, list(existing.warnings)
        files.append(loki_file)
    file = _file(args)
    effective = sillok.load(
        read_text(file) if file else None,
        str(file) if file else "sillok.yaml",
        below=below,
        variables=os.environ,
        overrides=args.overrides,
        flags=[*_flags(args), *flags],
    )
    if file:
        files.append(str(file))
    return Loaded(effective, files, warnings)


def arguments_of(args: argparse.Namespace) -> list[str]:
    """The same options again, for a child process."""
    again: list[str] = []
    file = _file(args)
    if file:
        again += ["--config", str(file)]
    for override in args.overrides:
        again += ["--set", override]
    return again


def loki_arguments_of(args: argparse.Namespace) -> list[str]:
    """Loki's flags again, for a child process."""
    again: list[str] = []
    if args.loki_file:
        again += ["-config.file", args.loki_file, f"-config.expand-env={args.loki_expand}"]
    for name in LOKI_FLAGS:
        if getattr(args, f"loki:{name}") is not None:
            again.append(f"-{name}={getattr(args, f'loki:{name}')}")
    return again


def read_text(path: Path) -> str:
    """A configuration file's text.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def _file(args: argparse.Namespace) -> Path | None:
    named = args.config or os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _flags(args: argparse.Namespace) -> list[Assignment]:
    from sillok.config.sillok import assignment

    found: list[Assignment] = []
    if args.data:
        found.append(assignment("data", args.data, "--data"))
    found += _loki_flags(args)
    if getattr(args, "listen", None):
        found.append(assignment("server.listen", ",".join(args.listen), "--listen"))
    if getattr(args, "auth_enabled", False):
        found.append(assignment("auth.enabled", "true", "--auth-enabled"))
    return found


def _loki_flags(args: argparse.Namespace) -> list[Assignment]:
    from sillok.config.sillok import assignment

    given = {name: getattr(args, f"loki:{name}", None) for name in LOKI_FLAGS}
    found = [
        assignment(name, text, f"-{name}")
        for name, text in given.items()
        if name in ("auth.enabled", "log.level") and text
    ]
    port, address = given["server.http-listen-port"], given["server.http-listen-address"]
    if port or address:
        host = f"[{address}]" if address and ":" in address else address or ""
        place = "-server.http-listen-port" if port else "-server.http-listen-address"
        found.append(assignment("server.listen", f"{host}:{port or 3100}", place))
    return found


# Where the commands that ask a server find it.


def add_access_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the server")
    group.add_argument(
        "--addr", metavar="URL", help="its address; also $SILLOK_URL, $LOKI_ADDR; else http://127.0.0.1:3100"
    )
    group.add_argument("--org-id", metavar="TENANT", help="sent as X-Scope-OrgID; also $SILLOK_ORG_ID, $LOKI_ORG_ID")
    group.add_argument(
        "--user", metavar="NAME", help="for basic auth; the password is in $SILLOK_PASSWORD ($LOKI_PASSWORD)"
    )
    token_action = group.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with a bearer token; also $SILLOK_TOKEN_FILE, or the token in $SILLOK_TOKEN",
    )
    token_action.complete = "file"  # type: ignore[attr-defined]
    ca_action = group.add_argument(
        "--ca-file", metavar="FILE", help="authorities that sign its certificate; also $SILLOK_CA_FILE"
    )
    ca_action.complete = "file"  # type: ignore[attr-defined]


def _variable(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """What the options and the environment say about the server to ask."""

    url: str | None
    tenant: str | None
    user: str | None
    password: str | None
    token: str | None
    ca_file: Path | None


def access_options(args: argparse.Namespace) -> AccessOptions:
    token = _variable("SILLOK_TOKEN", "LOKI_BEARER_TOKEN")
    token_file = args.token_file or _variable("SILLOK_TOKEN_FILE", "LOKI_BEARER_TOKEN_FILE")
    if token_file:
        token = read_text(Path(token_file)).strip()
    ca_file = args.ca_file or _variable("SILLOK_CA_FILE", "LOKI_CA_CERT_PATH")
    return AccessOptions(
        url=args.addr or _variable("SILLOK_URL", "LOKI_ADDR"),
        tenant=args.org_id or _variable("SILLOK_ORG_ID", "LOKI_ORG_ID"),
        user=args.user or _variable("SILLOK_USER", "LOKI_USERNAME"),
        password=_variable("SILLOK_PASSWORD", "LOKI_PASSWORD"),
        token=token,
        ca_file=Path(ca_file) if ca_file else None,
    )


def wants_no_colour() -> bool:
    """https://no-color.org, and terminals that cannot."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
