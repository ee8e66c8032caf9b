"""The versions table: which steps of the schema were taken."""

from __future__ import annotations

from sillok.schema.tables import DATABASE, VERSIONS
from sillok.sql import render
from sillok.sql.expr import Bound, Column, Named, call
from sillok.sql.select import Select
from sillok.sql.statement import Statement


def current() -> Statement:
    """Column: version (0: none)."""
    latest = Named(call("max", Column("version")), "version")
    return render.statement(Select((latest,), VERSIONS), is_housekeeping=True)


def existence() -> Statement:
    """Column: tables (1 when the versions table is there, else 0). Changes nothing, so it works on a full disk."""
    name = call("concat", Column("database"), Bound("."), Column("name"))
    conditions = (call("equals", Column("database"), Bound(DATABASE)), call("equals", name, Bound(VERSIONS)))
    return render.statement(
        Select((Named(call("count"), "tables"),), "system.tables", conditions), is_housekeeping=True
    )
