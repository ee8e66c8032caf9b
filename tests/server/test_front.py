"""The front door: routes, roles, guards, headers, and what happens when something breaks."""

from __future__ import annotations

import logging

import pytest

from sillok import telemetry
from sillok.errors import StoreFull
from sillok.http.credentials import hash_token
from sillok.http.settings import Credential, Role, ServerSettings
from sillok.server.app import routes
from sillok.server.front import Route
from sillok.server.page import Page
from tests.server.fakes import FakeIngest, FakeQuery, app, client, services

pytestmark = pytest.mark.anyio

ROUTES = routes(services(), Page())
ROLES = {"push": frozenset({Role.PUSH}), "read": frozenset({Role.READ}), "admin": frozenset({Role.ADMIN})}
CLOSED = ServerSettings(
    credentials=tuple(Credential(name, roles, token_hash=hash_token(name)) for name, roles in ROLES.items())
)
LINE = {"streams": [{"stream": {"a": "b"}, "values": [["1795235038000000000", "x"]]}]}


def path_of(route: Route) -> str:
    return route.path.replace("{name}", "job")


@pytest.mark.parametrize(
    "path", ["/nope", "/loki/api/v1/nope", "/loki/api/v1/label//values", "/loki/api/v1/label/a/b/values"]
)
async def test_a_path_that_is_not_there_is_answered_as_loki_does(path: str) -> None:
    async with client(app()) as http:
        answer = await http.get(path)

    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_a_method_that_a_route_does_not_have_is_405_without_a_body(route: Route) -> None:
    async with client(app()) as http:
        answer = await http.request("DELETE", path_of(route))

    assert (answer.status_code, answer.content) == (405, b"")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_nothing_that_changes_something_can_be_got(route: Route) -> None:
    """A page of another site can make a browser GET anything."""
    ingest = FakeIngest()
    before = logging.getLogger("sillok").level
    async with client(app(ingest)) as http:
        await http.get(path_of(route), params={"log_level": "error", "query": "x"})

    assert ingest.pushes == []
    assert logging.getLogger("sillok").level == before


@pytest.mark.parametrize("route", [route for route in ROUTES if "GET" in route.methods], ids=lambda route: route.path)
async def test_head_is_get_without_a_body(route: Route) -> None:
    async with client(app()) as http:
        head = await http.head(path_of(route))
        got = await http.get(path_of(route))

    assert head.status_code == got.status_code == 200


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
@pytest.mark.parametrize("name", ["nobody", "push", "read", "admin"])
async def test_a_credential_opens_what_its_role_allows(route: Route, name: str) -> None:
    method = "POST" if "POST" in route.methods else "GET"
    headers = {"Authorization": f"Bearer {name}"} if name in ROLES else {}
    async with client(app(settings=CLOSED)) as http:
        answer = await http.request(method, path_of(route), headers=headers)

    if route.role is None or name == "admin" or name == route.role:
        assert answer.status_code not in (401, 403)
    elif name == "nobody":
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
    else:
        assert answer.status_code == 403


def test_what_tells_of_all_tenants_is_for_admins_and_only_ready_is_for_all() -> None:
    assert {route.path for route in ROUTES if route.role is None} == {"/ready"}
    assert {route.path for route in ROUTES if route.role is Role.ADMIN} == {
        "/metrics",
        "/config",
        "/services",
        "/log_level",
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_a_page_of_another_site_gets_nothing_from_any_route(route: Route) -> None:
    method = "POST" if "POST" in route.methods else "GET"
    ingest, query = FakeIngest(), FakeQuery()
    async with client(app(ingest, query)) as http:
        answer = await http.request(method, path_of(route), json=LINE, headers={"Origin": "http://evil.example"})
        rebound = await http.request(method, path_of(route), json=LINE, headers={"Host": "evil.example"})

    assert (answer.status_code, rebound.status_code) == (403, 403)
    assert (ingest.pushes, query.asked) == ([], [])
    assert "access-control-allow-origin" not in answer.headers


async def test_a_configured_origin_is_let_in_and_told_so() -> None:
    settings = ServerSettings(origins=("https://grafana.example.org",))
    headers = {"Origin": "https://grafana.example.org"}
    async with client(app(settings=settings)) as http:
        asked = await http.options("/loki/api/v1/push", headers=headers)
        answer = await http.get("/loki/api/v1/labels", headers=headers)
        stranger = await http.options("/loki/api/v1/push")

    assert (asked.status_code, answer.status_code, stranger.status_code) == (204, 200, 405)
    assert asked.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers["access-control-allow-origin"] == "https://grafana.example.org"


async def test_every_answer_carries_the_security_headers() -> None:
    async with client(app()) as http:
        answers = [await http.get(path) for path in ("/ready", "/nope", "/", "/loki/api/v1/query_range?limit=x")]

    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_bug_is_a_500_that_tells_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    query = FakeQuery(error=ZeroDivisionError("secret of another tenant"))
    async with client(app(query=query)) as http:
        answer = await http.get("/loki/api/v1/labels")

    assert (answer.status_code, answer.text) == (500, "internal error")
    assert "secret of another tenant" in caplog.text
    assert "/loki/api/v1/labels" in caplog.text


async def test_what_goes_well_and_what_the_sender_did_wrong_leaves_no_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "sillok"):
        async with client(app()) as http:
            assert (await http.post("/loki/api/v1/push", json=LINE)).status_code == 204
            assert (await http.post("/loki/api/v1/push", content=b"?")).status_code == 400
            assert (await http.get("/nope")).status_code == 404

    assert [record for record in caplog.records if record.name.startswith("sillok")] == []


async def test_the_same_fault_is_one_line_not_one_a_push(caplog: pytest.LogCaptureFixture) -> None:
    async with client(app(FakeIngest(outcome=StoreFull("no room on the disk")))) as http:
        answers = [await http.post("/loki/api/v1/push", json=LINE) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].headers["retry-after"] == "10"
    assert [record.getMessage() for record in caplog.records] == ["StoreFull: no room on the disk"]


async def test_requests_are_counted_by_route_and_status() -> None:
    def count(route: str, status: str) -> float:
        return telemetry.HTTP_SECONDS.labels(route, status)._sum.get()

    async with client(app()) as http:
        before = count("/loki/api/v1/label/{name}/values", "200"), count("other", "404")
        await http.get("/loki/api/v1/label/one/values")
        await http.get("/some/path/that/is/not/there")

    assert count("/loki/api/v1/label/{name}/values", "200") > before[0]
    assert count("other", "404") > before[1]
