"""Pages of other sites, and names that are not ours."""

from __future__ import annotations

import pytest

from sillok.errors import Forbidden
from sillok.http.guard import CONTENT_SECURITY_POLICY, Guard
from sillok.http.settings import Credential, Role, ServerSettings

LOOPBACK = "127.0.0.1"
OWN = frozenset({"localhost", "desk"})
OPEN = Guard(ServerSettings(origins=("https://grafana.example.org",), hosts=("logs.home",)), OWN)
CLOSED = Guard(ServerSettings(credentials=(Credential("a", frozenset({Role.READ}), token_hash="x"),)), OWN)


@pytest.mark.parametrize(
    "host",
    [
        "localhost:3100",
        "LOCALHOST",
        "127.0.0.1:3100",
        "[::1]:3100",
        "10.0.0.7",
        "desk:3100",
        "logs.home",
        "a.localhost",
    ],
)
def test_on_loopback_our_own_names_and_addresses_are_answered(host: str) -> None:
    OPEN.check({"host": host}, local_address=LOOPBACK)


@pytest.mark.parametrize("host", ["evil.example:3100", "localhost.evil.example", "127.0.0.1.evil.example", "a@b", "x["])
@pytest.mark.parametrize("local_address", [LOOPBACK, "127.0.1.1", "::1", "::ffff:127.0.0.1"])
def test_on_loopback_without_credentials_a_strange_name_is_refused(host: str, local_address: str) -> None:
    with pytest.raises(Forbidden, match="unknown host"):
        OPEN.check({"host": host}, local_address=local_address)


def test_elsewhere_or_with_credentials_any_name_will_do() -> None:
    OPEN.check({"host": "monitor.web10.site"}, local_address="10.0.0.7")
    CLOSED.check({"host": "monitor.web10.site"}, local_address=LOOPBACK)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:3100", "localhost:3100"),
        ("http://127.0.0.1", "127.0.0.1:80"),
        ("https://localhost", "localhost:443"),
        ("https://localhost", "localhost"),  # a proxy ends TLS
        ("http://[::1]:3100", "[::1]:3100"),
        ("https://grafana.example.org", "localhost:3100"),
        ("https://GRAFANA.example.org/", "localhost:3100"),
    ],
)
def test_our_own_page_and_configured_ones_may_ask(origin: str, host: str) -> None:
    OPEN.check({"host": host, "origin": origin}, local_address=LOOPBACK)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://localhost:3000",
        "http://localhost",
        "http://evil.example",
        "https://grafana.example.org.evil",
        "x[",
        "file://",
    ],
)
@pytest.mark.parametrize("guard", [OPEN, CLOSED])
def test_a_page_of_another_site_is_refused_always(origin: str, guard: Guard) -> None:
    with pytest.raises(Forbidden, match="is not allowed"):
        guard.check({"host": "localhost:3100", "origin": origin}, local_address=LOOPBACK)


def test_an_image_of_another_site_is_refused_but_a_link_is_followed() -> None:
    cross = {"host": "localhost:3100", "sec-fetch-site": "cross-site"}

    OPEN.check({**cross, "sec-fetch-mode": "navigate"}, local_address=LOOPBACK)
    with pytest.raises(Forbidden):
        OPEN.check({**cross, "sec-fetch-mode": "no-cors"}, local_address=LOOPBACK)


def test_the_policy_of_pages_lets_nothing_in_from_outside() -> None:
    policy = CONTENT_SECURITY_POLICY

    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http:" not in policy
    assert "https:" not in policy
    assert "frame-ancestors 'none'" in policy
