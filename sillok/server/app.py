"""The server's application: one route table, built over the services.

Loki's paths: https://grafana.com/docs/loki/latest/reference/loki-http-api/
"""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.requests import Request

from sillok.http.body import BodyReader
from sillok.http.settings import Role, ServerSettings
from sillok.server.errors import otlp_error, query_error
from sillok.server.front import GET, GET_OR_POST, POST, Answer, Front, Route, SocketRoute
from sillok.server.loki.push import LokiPush
from sillok.server.loki.query import LokiQuery
from sillok.server.loki.tail import LokiTail
from sillok.server.otlp.logs import OtlpLogs
from sillok.server.page import Page
from sillok.server.services import PushService, QueryService, Services
from sillok.server.status import Status

# Below these there are APIs only; everywhere else a browser gets the page.
API_PREFIXES = ("/loki/", "/api/", "/otlp/", "/v1/", "/sillok/")


def build_app(
    *,
    ingest: PushService,
    query: QueryService,
    settings: ServerSettings,
    config_text: Callable[[], str],
    ready: Callable[[], str | None],
    clock: Callable[[], int] = time.time_ns,
    page: Page | None = None,
) -> Front:
    """The ASGI application. `ready` says why not, or None; `config_text` has no secrets in it."""
    services = Services(ingest, query, settings, BodyReader(settings.limits), config_text, ready, clock)
    page = page or Page()
    return Front(
        routes(services, page),
        (
            SocketRoute("/loki/api/v1/tail", LokiTail(services).tail, Role.READ, query_error),
            SocketRoute("/api/prom/tail", LokiTail(services).tail, Role.READ, query_error),
        ),
        settings=settings,
        find_page=lambda request: find_page(page, request),
    )


def routes(services: Services, page: Page) -> tuple[Route, ...]:
    """Every path of the server that is not a WebSocket or a file of the page."""
    push, query, otlp, status = LokiPush(services), LokiQuery(services), OtlpLogs(services), Status(services)
    return (
        Route("/loki/api/v1/push", POST, push.push, Role.PUSH),
        Route("/api/prom/push", POST, push.push, Role.PUSH),
        Route("/otlp/v1/logs", POST, otlp.push, Role.PUSH, otlp_error),
        Route("/v1/logs", POST, otlp.push, Role.PUSH, otlp_error),
        Route("/loki/api/v1/query", GET_OR_POST, query.query, Role.READ, query_error),
        Route("/loki/api/v1/query_range", GET_OR_POST, query.query_range, Role.READ, query_error),
        Route("/loki/api/v1/labels", GET_OR_POST, query.labels, Role.READ, query_error),
        Route("/loki/api/v1/label", GET_OR_POST, query.labels, Role.READ, query_error),
        Route("/loki/api/v1/label/{name}/values", GET_OR_POST, query.label_values, Role.READ, query_error),
        Route("/loki/api/v1/series", GET_OR_POST, query.series, Role.READ, query_error),
        Route("/loki/api/v1/index/stats", GET_OR_POST, query.index_stats, Role.READ, query_error),
        Route("/loki/api/v1/index/volume", GET_OR_POST, query.index_volume, Role.READ, query_error),
        Route("/api/prom/label", GET_OR_POST, query.labels, Role.READ, query_error),
        Route("/api/prom/label/{name}/values", GET_OR_POST, query.label_values, Role.READ, query_error),
        Route("/api/prom/series", GET_OR_POST, query.series, Role.READ, query_error),
        Route("/sillok/api/v1/histogram", GET_OR_POST, query.histogram, Role.READ, query_error),
        Route("/loki/api/v1/status/buildinfo", GET, status.buildinfo, Role.READ),
        Route("/ready", GET, status.ready, None),
        # These tell of all tenants.
        Route("/metrics", GET, status.metrics, Role.ADMIN),
        Route("/config", GET, status.config, Role.ADMIN),
        Route("/services", GET, status.list_services, Role.ADMIN),
        Route("/log_level", GET_OR_POST, status.log_level, Role.ADMIN),
        Route("/", GET, page.index, Role.READ),
    )


def find_page(page: Page, request: Request) -> Answer | None:
    """A file of the page, or the page itself for an address that a browser navigates to."""
    path = request.url.path
    if page.has(path):
        return page.file
    is_navigation = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    return page.index if is_navigation and not path.startswith(API_PREFIXES) else None
