"""Plain-text answers in the manner of Go's `http.Error`, which is what Loki's clients expect."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

PLAIN_TEXT = "text/plain; charset=utf-8"


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """`text` and a newline, as `http.Error` writes it."""
    return Response(f"{text}\n".encode(), status, {**(headers or {}), "Content-Type": PLAIN_TEXT})
