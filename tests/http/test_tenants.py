"""Whose data a request is about."""

from __future__ import annotations

import pytest

from sillok.errors import BadRequest, Forbidden, Unauthorized
from sillok.http.settings import Credential, Role, ServerSettings
from sillok.http.tenants import tenant_of

SINGLE, MULTI = ServerSettings(), ServerSettings(auth_enabled=True)


def credential(*tenants: str) -> Credential:
    return Credential("c", frozenset({Role.READ}), tenants=tenants)


def test_without_auth_enabled_there_is_one_tenant_whatever_the_header_says() -> None:
    assert tenant_of("somebody", None, SINGLE) == "fake"
    assert tenant_of(None, credential("fake"), SINGLE) == "fake"


def test_with_auth_enabled_the_header_says_it() -> None:
    assert tenant_of("team-a", None, MULTI) == "team-a"
    assert tenant_of("team-a", credential("team-a", "team-b"), MULTI) == "team-a"
    assert tenant_of("team-c", credential("*"), MULTI) == "team-c"


@pytest.mark.parametrize("header", [None, ""])
def test_with_auth_enabled_a_missing_header_is_refused_in_lokis_words(header: str | None) -> None:
    for shown in (None, credential("*"), credential("a", "b")):
        with pytest.raises(Unauthorized, match=r"\Ano org id\Z"):
            tenant_of(header, shown, MULTI)


def test_a_credential_with_one_tenant_needs_no_header() -> None:
    assert tenant_of(None, credential("team-a"), MULTI) == "team-a"


@pytest.mark.parametrize(("header", "settings"), [("team-b", MULTI), (None, SINGLE)])
def test_a_credential_opens_its_own_tenants_only(header: str | None, settings: ServerSettings) -> None:
    with pytest.raises(Forbidden, match="may not use tenant"):
        tenant_of(header, credential("team-a"), settings)


@pytest.mark.parametrize("header", ["a b", "..", "a|b", "a/b", "x" * 151, "가"])
def test_a_header_that_cannot_be_a_tenant_is_refused(header: str) -> None:
    with pytest.raises(BadRequest, match="tenant ID"):
        tenant_of(header, None, MULTI)
