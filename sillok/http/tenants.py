"""Whose data a request is about.

Source: Loki's `auth_enabled` and `X-Scope-OrgID`; https://grafana.com/docs/loki/latest/operations/multi-tenancy/
Differs: a credential that names exactly one tenant needs no header.
"""

from __future__ import annotations

from sillok.errors import Forbidden, Unauthorized
from sillok.http.settings import ANY_TENANT, Credential, ServerSettings
from sillok.model.tenant import check_tenant

TENANT_HEADER = "x-scope-orgid"


def tenant_of(header: str | None, credential: Credential | None, settings: ServerSettings) -> str:
    """The tenant that a request with this `X-Scope-OrgID` means.

    Raises:
        Unauthorized: the header is needed and missing.
        BadRequest: the header cannot be a tenant.
        Forbidden: the credential may not use this tenant.
    """
    tenant = _meant(header, credential, settings)
    if credential is not None and tenant not in credential.tenants and ANY_TENANT not in credential.tenants:
        raise Forbidden(f"credential {credential.name!r} may not use tenant {tenant!r}")
    return tenant


def _meant(header: str | None, credential: Credential | None, settings: ServerSettings) -> str:
    if not settings.auth_enabled:
        return settings.default_tenant
    if header:
        return check_tenant(header)
    if credential is not None and len(credential.tenants) == 1 and credential.tenants[0] != ANY_TENANT:
        return credential.tenants[0]
    raise Unauthorized("no org id")
