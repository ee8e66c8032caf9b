"""The versions table: which steps of the schema were taken."""

from __future__ import annotations

from sillok.schema.tables import VERSIONS
from sillok.sql import render
from sillok.sql.expr import Column, Named, call
from sillok.sql.select import Select
from sillok.sql.statement import Statement


def current() -> Statement:
    """Column: version (0: none)."""
    latest = Named(call("max", Column("version")), "version")
    return render.statement(Select((latest,), VERSIONS), is_housekeeping=True)
