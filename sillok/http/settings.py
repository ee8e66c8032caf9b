"""What a listener and its guards are told: addresses, TLS files, credentials, limits. Values only.

The command line builds these from configuration; nothing here reads a file or the environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from sillok.model.tenant import DEFAULT_TENANT

ANY_TENANT = "*"

KIB = 1024
MIB = 1024 * KIB


class Role(StrEnum):
    """What a credential may do. `admin` may do everything, and alone sees what tells of all tenants."""

    PUSH = "push"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Bind:
    """An address to listen on. Port 0 takes a free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the certificate (with its chain) and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Credential:
    """Who may come in, with what proof, to which tenants, to do what.

    Either `token_hash` (a generated bearer token: SHA-256 in hex) or `user` with `password_hash`
    (basic auth: argon2 in its PHC form). `tenants` may hold `*` for all of them.
    """

    name: str
    roles: frozenset[Role]
    tenants: tuple[str, ...] = (DEFAULT_TENANT,)
    token_hash: str | None = None
    user: str | None = None
    password_hash: str | None = None


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of a listener. Each has an error of its own."""

    # Connections. At the limit the connection that has been idle longest makes room for the new one.
    max_connections: int = 4096
    max_websockets: int = 256
    max_header_bytes: int = 64 * KIB
    head_timeout_s: float = 10.0  # from the first byte wanted to the end of the request's headers
    idle_timeout_s: float = 75.0  # between two requests of a connection
    # A body must bring `min_body_bytes` in every `body_window_s`, and an answer must be taken within `write_timeout_s`.
    body_window_s: float = 30.0
    min_body_bytes: int = 16 * KIB
    write_timeout_s: float = 60.0
    stop_timeout_s: float = 3.0

    # Bodies. Loki allows 100 MiB on the wire; what such a body decompresses to is bounded as well.
    max_push_body_bytes: int = 64 * MIB
    max_form_body_bytes: int = 1 * MIB
    max_decompressed_bytes: int = 128 * MIB
    max_decompression_ratio: int = 500
    max_bodies_in_memory_bytes: int = 512 * MIB


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Who may ask, and how much.

    `auth_enabled` means what it means in Loki: the tenant comes from `X-Scope-OrgID`, else there is
    one tenant, `default_tenant`. `origins` are pages of other servers that may call this one
    (`https://grafana.example.org`); `hosts` are names, beside localhost, that a listener on loopback
    without credentials answers to.
    """

    auth_enabled: bool = False
    default_tenant: str = DEFAULT_TENANT
    credentials: tuple[Credential, ...] = ()
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    limits: HttpLimits = field(default_factory=HttpLimits)
