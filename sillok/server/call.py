"""One request on its way to an endpoint: who asks, for which tenant."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from sillok.http.settings import Credential, ServerSettings
from sillok.http.tenants import TENANT_HEADER, tenant_of


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed the guard, and the credential it showed."""

    connection: HTTPConnection
    credential: Credential | None
    settings: ServerSettings
    path_name: str = ""  # what stands for the {name} of the route's path

    @property
    def request(self) -> Request:
        assert isinstance(self.connection, Request)
        return self.connection

    @property
    def websocket(self) -> WebSocket:
        assert isinstance(self.connection, WebSocket)
        return self.connection

    def tenant(self) -> str:
        """Whose data this is about; raises what `tenant_of` raises."""
        return tenant_of(self.connection.headers.get(TENANT_HEADER), self.credential, self.settings)
