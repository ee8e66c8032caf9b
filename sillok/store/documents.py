"""Versioned documents: small JSON texts of a kind (saved query, silence, delete request, verify run, …).

Nothing is overwritten: a change is a new version, a deletion one too, and the versions before stay readable.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sillok.errors import BadRequest
from sillok.schema import documents
from sillok.schema.tables import DOCUMENTS
from sillok.store.engine import Engine

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DOCUMENT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """One version. `written_ns` is when it was written; a deleted one has an empty `json`."""

    id: str
    version: int
    written_ns: int
    json: str
    is_deleted: bool = False


class Documents:
    """The documents of all tenants. Methods may be called from several threads at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = threading.Lock()  # versions are counted up one by one

    def put(self, tenant: str, kind: str, ident: str, json: str, *, now_ns: int) -> Document:
        """Store a new version; return when it is on disk.

        Raises:
            BadRequest: it is larger than MAX_DOCUMENT_BYTES.
        """
        if len(json.encode()) > MAX_DOCUMENT_BYTES:
            raise BadRequest(f"a document of more than {MAX_DOCUMENT_BYTES} bytes is too large")
        return self._write(tenant, kind, ident, json, now_ns=now_ns)

    def get(self, tenant: str, kind: str, ident: str) -> Document | None:
        """The newest version; None when there is none or it was deleted."""
        document = self._newest(tenant, kind, ident)
        return None if document is None or document.is_deleted else document

    def all(self, tenant: str, kind: str) -> list[Document]:
        """The newest versions of all that are not deleted, by id."""
        found = _read(self._engine.query(documents.latest(tenant, kind)))
        return [document for document in found if not document.is_deleted]

    def history(self, tenant: str, kind: str, ident: str) -> list[Document]:
        """All versions of one document, newest first, deletions included."""
        return _read(self._engine.query(documents.history(tenant, kind, ident)))

    def delete(self, tenant: str, kind: str, ident: str, *, now_ns: int) -> bool:
        """Whether there was one to delete."""
        if self.get(tenant, kind, ident) is None:
            return False
        self._write(tenant, kind, ident, "", now_ns=now_ns, is_deleted=True)
        return True

    def _newest(self, tenant: str, kind: str, ident: str) -> Document | None:
        found = _read(self._engine.query(documents.latest(tenant, kind, ident)))
        return found[0] if found else None

    def _write(
        self, tenant: str, kind: str, ident: str, json: str, *, now_ns: int, is_deleted: bool = False
    ) -> Document:
        with self._writing:
            before = self._newest(tenant, kind, ident)
            document = Document(ident, (before.version if before else 0) + 1, now_ns, json, is_deleted)
            self._engine.insert(DOCUMENTS, _row(tenant, kind, document))
        return document


def _row(tenant: str, kind: str, document: Document) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "tenant": [tenant],
            "kind": [kind],
            "id": [document.id],
            "version": pa.array([document.version], pa.uint64()),
            "written": pa.array([document.written_ns], pa.int64()),
            "is_deleted": [document.is_deleted],
            "json": [document.json],
        }
    )


def _read(table: pa.Table) -> list[Document]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return [Document(row["id"], row["version"], row["written"], row["json"], bool(row["is_deleted"])) for row in rows]
