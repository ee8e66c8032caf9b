"""The engine's door: a statement on a tenant's table names one tenant, and on the logs a time range, or does not pass.

The constructors of `schema/` see to that already; this is the second lock, for the day one of them is wrong.
"""

from __future__ import annotations

import re

from sillok.schema.tables import DOCUMENTS, LOGS, STREAMS
from sillok.sql.statement import Statement

_TENANTS_TABLE = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in (LOGS, STREAMS, DOCUMENTS)))
_LOGS = re.compile(rf"\b{re.escape(LOGS)}\b")
_TENANT = re.compile(r"equals\(`tenant`, \{(\w+):String\}\)")
_START = re.compile(r"greaterOrEquals\(`ts`, \{(\w+):Int64\}\)")
_END = re.compile(r"less\(`ts`, \{(\w+):Int64\}\)")


def check(statement: Statement) -> None:
    """
    Raises:
        ValueError: a tenant's table is read without its tenant or without a time range. A bug of ours.
    """
    mentions = len(_TENANTS_TABLE.findall(statement.text))
    if mentions == 0 or statement.is_housekeeping:
        return
    tenants = [statement.params.get(name) for name in _TENANT.findall(statement.text)]
    if len(tenants) < mentions:
        raise ValueError("a statement on a tenant's table without the tenant")
    if len(set(tenants)) != 1 or not isinstance(tenants[0], str) or not tenants[0]:
        raise ValueError("a statement on a tenant's table for more or less than one tenant")
    ranges = len(_LOGS.findall(statement.text))
    for form in (_START, _END):
        bounds = [statement.params.get(name) for name in form.findall(statement.text)]
        if len(bounds) < ranges or not all(isinstance(bound, int) for bound in bounds):
            raise ValueError("a statement on the logs table without a time range")
