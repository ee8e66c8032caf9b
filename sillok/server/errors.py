"""The one table error class → status, and how each protocol writes an error's body."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TypeAlias

from starlette.requests import HTTPConnection
from starlette.responses import Response

from sillok import errors
from sillok.http.errors import PLAIN_TEXT, plain
from sillok.server.protobuf import message

CLIENT_CLOSED_REQUEST = 499  # nginx's, and Loki's for a query whose client went away

# Looked up along the class's bases, so that the most special line counts.
STATUS: Mapping[type[errors.SillokError], int] = {
    errors.SillokError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.BadRequest: HTTPStatus.BAD_REQUEST,
    errors.PushSyntaxError: HTTPStatus.BAD_REQUEST,
    errors.NothingToStore: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QuerySyntaxError: HTTPStatus.BAD_REQUEST,
    errors.QueryRejected: HTTPStatus.BAD_REQUEST,
    errors.EntriesRefused: HTTPStatus.BAD_REQUEST,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreFull: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreLocked: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.QueryTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    errors.QueryCancelled: CLIENT_CLOSED_REQUEST,
    errors.RemoteFailed: HTTPStatus.BAD_GATEWAY,
    errors.RemoteFailed: HTTPStatus.BAD_GATEWAY,
}
STORE_RETRY_S = 10.0

ErrorBody: TypeAlias = Callable[[HTTPConnection, int, str, Mapping[str, str]], Response]


def status_of(error: errors.SillokError) -> int:
    """The status of the nearest class of `error` that is in the table."""
    return int(next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS))


def headers_of(error: errors.SillokError, *, asks_for_credentials: bool) -> dict[str, str]:
    """`Retry-After` where waiting helps; `WWW-Authenticate` where a credential would."""
    match error:
        case errors.RateLimited() | errors.Overloaded():
            return {"Retry-After": str(math.ceil(error.retry_after_s))}
        case errors.StoreUnavailable():
            return {"Retry-After": str(math.ceil(STORE_RETRY_S))}
        case errors.Unauthorized() if asks_for_credentials:
            return {"WWW-Authenticate": 'Basic realm="sillok", charset="UTF-8"'}
    return {}


def loki_error(_connection: HTTPConnection, status: int, text: str, headers: Mapping[str, str]) -> Response:
    """Loki's for pushes, and for all that is refused at the door: plain text and a newline."""
    return plain(status, text, headers)


def query_error(connection: HTTPConnection, status: int, text: str, headers: Mapping[str, str]) -> Response:
    """Loki's for queries: plain text without a newline. Clients show it as it is."""
    if status == HTTPStatus.UNAUTHORIZED:
        return loki_error(connection, status, text, headers)
    return Response(text.encode(), status, {**headers, "Content-Type": PLAIN_TEXT})


def otlp_error(connection: HTTPConnection, status: int, text: str, headers: Mapping[str, str]) -> Response:
    """OTLP's: a `google.rpc.Status` in the encoding of the request.

    Source: https://opentelemetry.io/docs/specs/otlp/#failures
    """
    if connection.headers.get("content-type", "").startswith("application/json"):
        content = json.dumps({"message": text}).encode()
        return Response(content, status, {**headers, "Content-Type": "application/json"})
    # `google.rpc.Status{message}`. Its code is left out: the HTTP status says it.
    return Response(message(2, text.encode()), status, {**headers, "Content-Type": "application/x-protobuf"})
