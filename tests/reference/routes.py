"""The server's route table as plain rows."""

from __future__ import annotations

from typing import Any, cast

from sillok.http.settings import ServerSettings
from sillok.server.app import build_app


def all_routes() -> list[tuple[str, str, str]]:
    """Path, methods and role of every route, WebSockets included, in the order of the table."""
    nothing = cast(Any, None)
    app = build_app(
        ingest=nothing, query=nothing, settings=ServerSettings(), config_text=lambda: "", ready=lambda: None
    )
    found = [route for routes in app._exact.values() for route in routes] + app._named
    rows = [(route.path, ", ".join(sorted(route.methods)), str(route.role or "")) for route in found]
    return sorted(rows) + sorted((socket.path, "WebSocket", str(socket.role)) for socket in app._sockets.values())
