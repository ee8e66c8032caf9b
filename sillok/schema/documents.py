"""The documents table: small things people write (saved queries, silences, …), each with all its versions."""

from __future__ import annotations

from sillok.schema.tables import DOCUMENTS
from sillok.sql import render
from sillok.sql.expr import Bound, Column, Expr, Named, call
from sillok.sql.select import Order, Select
from sillok.sql.statement import Statement

TENANT = Column("tenant")
KIND = Column("kind")
ID = Column("id")
VERSION = Column("version")
WRITTEN = Column("written")
IS_DELETED = Column("is_deleted")
JSON = Column("json")

_OWN = (ID, VERSION, WRITTEN, IS_DELETED, JSON)


def latest(tenant: str, kind: str, ident: str | None = None) -> Statement:
    """The newest version of one document, or of all of a kind. Columns: id, version, written, is_deleted, json."""
    return render.statement(
        Select(
            tuple(Named(column, column.name) for column in _OWN),
            DOCUMENTS,
            (*_of(tenant, kind), *(() if ident is None else (call("equals", ID, Bound(ident)),))),
            order_by=(Order(ID), Order(VERSION, is_descending=True)),
            limit_by=(1, (ID,)),
        )
    )


def history(tenant: str, kind: str, ident: str) -> Statement:
    """All versions of one document, newest first. Columns as in `latest`."""
    return render.statement(
        Select(
            tuple(Named(column, column.name) for column in _OWN),
            DOCUMENTS,
            (*_of(tenant, kind), call("equals", ID, Bound(ident))),
            order_by=(Order(VERSION, is_descending=True),),
        )
    )


def _of(tenant: str, kind: str) -> tuple[Expr, ...]:
    return (call("equals", TENANT, Bound(tenant)), call("equals", KIND, Bound(kind)))
