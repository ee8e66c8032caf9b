"""What protects a local server from the pages that its user's browser opens.

A page of another site may send requests to `http://127.0.0.1:3100`. Three things stop it: `Origin` must
be our own or a configured one; a listener on loopback without credentials answers only to names that
cannot be another site's (DNS rebinding); and nothing changes state by GET. Pages of ours carry a strict
content security policy.

Sources: Fetch standard (Origin, Sec-Fetch-*); RFC 9110 §7.2; https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sillok.errors import Forbidden
from sillok.http.settings import ServerSettings

# For every answer.
SECURITY_HEADERS: tuple[tuple[str, str], ...] = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


# For pages: everything from this server, nothing inline.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Guard:
    """Judges `Host`, `Origin` and `Sec-Fetch-Site` of a request, WebSockets included."""

    settings: ServerSettings
    own_names: frozenset[str] = field(default_factory=lambda: frozenset({"localhost", socket.gethostname().lower()}))

    def check(self, headers: Mapping[str, str], *, local_address: str) -> None:
        """Pass, or raise what the sender is told.

        `local_address` is the address of ours that the connection came to.

        Raises:
            Forbidden: the request comes from a page of another site, or to a name that is not ours.
        """
        self._check_host(headers.get("host", ""), local_address)
        self._check_origin(headers)

    def allows_origin(self, origin: str) -> bool:
        """Whether `origin` is configured: a page of another server that may call this one."""
        return origin.rstrip("/").lower() in {allowed.rstrip("/").lower() for allowed in self.settings.origins}

    def _check_host(self, host: str, local_address: str) -> None:
        if self.settings.credentials or not _is_loopback(local_address):
            return
        name = _name(host)
        if not host or _is_address(name) or name in self.own_names or name.endswith(".localhost"):
            return
        if name not in {known.lower() for known in self.settings.hosts}:
            raise Forbidden(f"unknown host {name!r}: add it to server.hosts, or use localhost")

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is None:
            self._check_fetch_site(headers)
        elif not self.allows_origin(origin) and not _is_same(origin, headers.get("host", "")):
            raise Forbidden(f"origin {origin!r} is not allowed: add it to server.origins")

    def _check_fetch_site(self, headers: Mapping[str, str]) -> None:
        """Browsers send no Origin with images and scripts; they say in another header where those come from."""
        is_cross_site = headers.get("sec-fetch-site") == "cross-site"
        if is_cross_site and headers.get("sec-fetch-mode") != "navigate":
            raise Forbidden("a page of another site may not ask this server")


def _is_same(origin: str, host: str) -> bool:
    """Whether a page from `origin` came from `host`. The scheme does not count: a proxy may end TLS."""
    try:
        parts = urlsplit(origin)
        origin_port = parts.port or (443 if parts.scheme == "https" else 80)
        host_parts = urlsplit(f"//{host}")
        host_port = host_parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.hostname, origin_port) == (host_parts.hostname, host_port)


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
