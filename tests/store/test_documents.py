"""Versioned documents."""

from __future__ import annotations

import pytest

from sillok.errors import BadRequest
from sillok.store.documents import MAX_DOCUMENT_BYTES, Documents
from sillok.store.engine import Engine


def test_a_change_is_a_new_version_and_the_old_ones_stay(each_engine: Engine) -> None:
    documents = Documents(each_engine)
    documents.put("docs-a", "query", "q1", '{"text": "{app=\\"a\\"}"}', now_ns=1)
    second = documents.put("docs-a", "query", "q1", '{"text": "new"}', now_ns=2)
    assert second.version == 2
    assert documents.get("docs-a", "query", "q1") == second
    assert [document.json for document in documents.history("docs-a", "query", "q1")] == [
        '{"text": "new"}',
        '{"text": "{app=\\"a\\"}"}',
    ]


def test_a_deleted_document_is_gone_and_its_history_is_not(each_engine: Engine) -> None:
    documents = Documents(each_engine)
    documents.put("docs-b", "silence", "s1", "{}", now_ns=1)
    documents.put("docs-b", "silence", "s2", "{}", now_ns=1)
    assert documents.delete("docs-b", "silence", "s1", now_ns=2)
    assert not documents.delete("docs-b", "silence", "s1", now_ns=3)
    assert documents.get("docs-b", "silence", "s1") is None
    assert [document.id for document in documents.all("docs-b", "silence")] == ["s2"]
    assert [document.version for document in documents.history("docs-b", "silence", "s1")] == [2, 1]
    assert documents.put("docs-b", "silence", "s1", "[]", now_ns=4).version == 3


def test_kinds_and_tenants_are_apart(each_engine: Engine) -> None:
    documents = Documents(each_engine)
    documents.put("docs-c", "query", "same", '"c"', now_ns=1)
    assert documents.get("docs-d", "query", "same") is None
    assert documents.get("docs-c", "silence", "same") is None


def test_a_document_that_is_too_large_is_refused(each_engine: Engine) -> None:
    with pytest.raises(BadRequest, match="too large"):
        Documents(each_engine).put("docs-e", "query", "big", "x" * (MAX_DOCUMENT_BYTES + 1), now_ns=1)
