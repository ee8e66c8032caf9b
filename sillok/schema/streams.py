"""The streams table: the labels of each stream id."""

from __future__ import annotations

from sillok.schema.tables import STREAMS
from sillok.sql import render
from sillok.sql.expr import Column, Named
from sillok.sql.select import Select
from sillok.sql.statement import Statement

TENANT = Column("tenant")
SID = Column("sid")
LABELS = Column("labels")


def every_stream() -> Statement:
    """The streams of all tenants; a stream may come more than once. Columns: tenant, sid, labels map."""
    columns = tuple(Named(column, column.name) for column in (TENANT, SID, LABELS))
    return render.statement(Select(columns, STREAMS), is_housekeeping=True)
