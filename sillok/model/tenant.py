"""Tenants: whose data it is."""

from __future__ import annotations

import re

from sillok.errors import BadRequest

DEFAULT_TENANT = "fake"  # Loki's name for the only tenant while `auth_enabled` is off.
MAX_TENANT_BYTES = 150  # Loki's limit.

_UNSUPPORTED = re.compile(r"[^a-zA-Z0-9!\-_.*'()]")


def check_tenant(tenant: str) -> str:
    """`tenant` itself, when it may be used as one.

    Raises:
        BadRequest: it is empty, too long, or holds a character that Loki refuses too.
    """
    if len(tenant.encode()) > MAX_TENANT_BYTES:
        raise BadRequest(f"tenant ID is too long: max {MAX_TENANT_BYTES} characters")
    if tenant in (".", ".."):
        raise BadRequest("tenant ID is '.' or '..'")
    if (odd := _UNSUPPORTED.search(tenant)) or not tenant:
        raise BadRequest(f"tenant ID '{tenant}' contains unsupported character '{odd.group() if odd else ''}'")
    return tenant
