"""The one table of errors."""

from __future__ import annotations

import inspect

import pytest
from starlette.requests import Request

from sillok import errors
from sillok.server.errors import STATUS, headers_of, loki_error, otlp_error, query_error, status_of

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.SillokError) and kind.__module__ == errors.__name__
]


def request(content_type: str) -> Request:
    return Request({"type": "http", "headers": [(b"content-type", content_type.encode())]})


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_its_status(kind: type[errors.SillokError]) -> None:
    assert kind in STATUS
    assert status_of(kind("x")) == STATUS[kind]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_tree_of_its_module(kind: type[errors.SillokError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")


def test_an_error_of_a_room_has_the_status_of_the_nearest_one_in_the_table() -> None:
    class EngineError(errors.StoreFull):
        pass

    assert status_of(EngineError("x")) == 503


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.Overloaded("x", retry_after_s=0.2), {"Retry-After": "1"}),
        (errors.RateLimited("x", retry_after_s=2.5), {"Retry-After": "3"}),
        (errors.StoreFull("x"), {"Retry-After": "10"}),
        (errors.BadRequest("x"), {}),
        (errors.Unauthorized("x"), {}),
    ],
)
def test_who_may_come_back_is_told_when(error: errors.SillokError, headers: dict[str, str]) -> None:
    assert headers_of(error, asks_for_credentials=False) == headers


def test_only_a_server_with_credentials_asks_for_them() -> None:
    asked = headers_of(errors.Unauthorized("x"), asks_for_credentials=True)

    assert asked == {"WWW-Authenticate": 'Basic realm="sillok", charset="UTF-8"'}


def test_lokis_form_for_queries_has_no_newline_but_where_the_tenant_is_missing() -> None:
    assert query_error(request(""), 400, "parse error", {}).body == b"parse error"
    assert query_error(request(""), 401, "no org id", {}).body == b"no org id\n"


def test_lokis_form_is_plain_text_and_a_newline() -> None:
    answer = loki_error(request("application/json"), 400, "parse error", {})

    assert (answer.status_code, answer.body) == (400, b"parse error\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_otlps_form_is_a_status_message_in_the_encoding_of_the_request() -> None:
    as_json = otlp_error(request("application/json; charset=utf-8"), 400, 'no "x"', {})
    as_protobuf = otlp_error(request("application/x-protobuf"), 400, "y" * 200, {"Retry-After": "1"})

    assert (as_json.body, as_json.headers["content-type"]) == (b'{"message": "no \\"x\\""}', "application/json")
    assert as_protobuf.body == b"\x12\xc8\x01" + b"y" * 200
    assert as_protobuf.headers["content-type"] == "application/x-protobuf"
    assert as_protobuf.headers["retry-after"] == "1"
