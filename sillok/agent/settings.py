"""What the collector is told: what to read, where to send it, and its bounds. Whoever starts it builds these."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sillok.errors import ConfigError
from sillok.model.labels import LabelSet

MIB = 1024 * 1024
PUSH_PATH = "/loki/api/v1/push"


@dataclass(frozen=True, slots=True)
class FileSource:
    """Files found by glob: `*` and `?` within a folder, `**` through folders, `{a,b}` as in a shell.

    `service` is the value of that label for all of them; None takes it from the path (`labels.py`).
    `labels` are added to every line, and win over the ones found.
    """

    globs: tuple[str, ...]
    job: str = "files"
    exclude: tuple[str, ...] = ()
    service: str | None = None
    labels: LabelSet = ()


@dataclass(frozen=True, slots=True)
class DockerSource:
    """All containers of one Docker engine. A socket that is not there is looked for again, quietly."""

    host: str = "unix:///var/run/docker.sock"
    job: str = "docker"
    labels: LabelSet = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A Loki push endpoint. The retries follow promtail's `backoff_config`, but never give up."""

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    bearer_token_file: Path | None = None
    tenant: str | None = None
    ca_file: Path | None = None
    timeout_s: float = 10.0
    min_backoff_s: float = 0.5
    max_backoff_s: float = 300.0


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Everything the collector needs. `data` holds its positions, spool and status, and nobody else's."""

    data: Path
    target: Target
    files: tuple[FileSource, ...] = ()
    docker: DockerSource | None = None
    host: str = field(default_factory=socket.gethostname)
    # Where /metrics, /ready and /status answer, as `host:port`; None: nowhere.
    listen: str | None = None
    spool_bytes: int = 1024 * MIB
    batch_bytes: int = MIB  # promtail's `batchsize`
    batch_wait_s: float = 0.5
    poll_s: float = 0.25
    # A file that is already larger when it is first seen is read from this far before its end.
    first_sight_bytes: int = 16 * 1024 * MIB


def target_from_url(
    text: str | None,
    *,
    variable: str = "LOKI_URL",
    bearer_token_file: Path | None = None,
    tenant: str | None = None,
    ca_file: Path | None = None,
) -> Target:
    """The target that `text` names; `http://user:password@host` carries basic credentials.

    Raises:
        ConfigError: it is missing or malformed; the text names `variable` and shows a right one (T-08).
    """
    example = f"for example {variable}=http://monitoring:3100{PUSH_PATH}"
    if text is None or not text.strip():
        raise ConfigError(f"{variable} is not set: it is the push address of the log store, {example}")
    if text != text.strip() or any(character.isspace() or character in "\"'<>" for character in text):
        raise ConfigError(f"{variable} has blanks, quotes or brackets in it: {text!r}; {example}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{variable} is not a URL ({error}): {_without_credentials(text)!r}; {example}") from None
    shown = _without_credentials(text)
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"{variable} does not begin with http:// or https://: {shown!r}; {example}")
    if not parts.hostname or "${" in text:
        raise ConfigError(f"{variable} names no host: {shown!r}; {example}")
    if parts.query or parts.fragment:
        raise ConfigError(f"{variable} has a query or a fragment: {shown!r}; {example}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path if parts.path not in ("", "/") else PUSH_PATH
    return Target(
        url=f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{path}",
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        bearer_token_file=bearer_token_file,
        tenant=tenant,
        ca_file=ca_file,
    )


def is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _without_credentials(text: str) -> str:
    scheme, found, rest = text.partition("://")
    if not found:
        return text
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
