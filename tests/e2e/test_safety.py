"""Safe from the first day: TLS, credentials, tenants, odd clients, pages that attack a local server."""

from __future__ import annotations

import gzip
import hashlib
import json
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import argon2
import httpx
import pytest

from tests.e2e.api import Api
from tests.e2e.system import Server
from tests.peers import missing, program

TOKENS = {"pusher": "push-secret", "reader": "read-secret", "admin": "admin-secret"}

CONFIG = """\
auth:
  enabled: true
  credentials:
    - {{name: pusher, token_hash: {pusher}, tenants: [red, blue], roles: [push]}}
    - {{name: reader, token_hash: {reader}, tenants: [red], roles: [read]}}
    - {{name: admin, token_hash: {admin}, tenants: ["*"], roles: [admin]}}
    - {{name: grafana, user: grafana, password_hash: "{password}", tenants: [red], roles: [read, push]}}
server:
  tls: {{cert_file: {folder}/server.pem, key_file: {folder}/server.key}}
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `server.pem` and `server.key` for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=sillok", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(folder / "server.key"), "-out", str(folder / "server.pem")]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        missing("openssl is not installed")
    return folder


@pytest.fixture(scope="module")
def guarded(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with TLS, tokens, a password and tenants."""
    folder = tmp_path_factory.mktemp("guarded")
    hashes = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in TOKENS.items()}
    password = argon2.PasswordHasher(time_cost=1, memory_cost=8192).hash("s3cret pass")
    config = folder / "sillok.yaml"
    config.write_text(CONFIG.format(folder=certificate, password=password, **hashes))
    server = TlsServer(folder / "data", "--config", str(config), certificate=certificate)
    with server:
        yield server


class TlsServer(Server):
    def __init__(self, data: Path, *options: str, certificate: Path) -> None:
        self.certificate = certificate
        super().__init__(data, *options, scheme="https")

    def wait_ready(self) -> None:
        with httpx.Client(verify=self._verify()) as client:

            def is_ready() -> bool:
                try:
                    return client.get(f"{self.url}/ready").status_code == 200
                except httpx.TransportError:
                    return False

            self.wait_for(is_ready, timeout_s=20, what=f"{self.url}/ready")

    def as_(self, name: str | None, tenant: str | None = "red", **client: object) -> Api:
        headers = {"X-Scope-OrgID": tenant} if tenant else {}
        if name:
            headers["Authorization"] = f"Bearer {TOKENS[name]}"
        return Api(self.url, headers=headers, verify=self._verify(), **client)

    def _verify(self) -> object:
        import ssl

        return ssl.create_default_context(cafile=str(self.certificate / "server.pem"))


LINE = [(time.time_ns(), "a line")]


def test_plain_http_gets_nothing_from_a_server_with_tls(guarded: Server) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{guarded.port}/ready", timeout=5)


def test_credentials_open_what_they_name_and_nothing_else(guarded: TlsServer) -> None:
    pusher, reader, admin = guarded.as_("pusher"), guarded.as_("reader"), guarded.as_("admin")
    query = {"query": '{job="guarded"}'}

    assert pusher.push({"job": "guarded"}, LINE).status_code == 204
    assert pusher.http.get("/loki/api/v1/query_range", params=query).status_code == 403
    assert reader.lines('{job="guarded"}') == ["a line"]
    assert reader.push({"job": "guarded"}, LINE).status_code == 403
    assert admin.lines('{job="guarded"}') == ["a line"]
    assert guarded.as_("reader", "blue").http.get("/loki/api/v1/query_range", params=query).status_code == 403
    assert guarded.as_("pusher", "green").push({"job": "guarded"}, LINE).status_code == 403
    assert guarded.as_("pusher", "blue").push({"job": "guarded"}, LINE).status_code == 204
    assert guarded.as_("admin", "blue").lines('{job="guarded"}') == ["a line"]
    assert guarded.as_("admin", "green").lines('{job="guarded"}') == []


def test_no_credentials_or_wrong_ones_are_refused_with_a_challenge(guarded: TlsServer) -> None:
    nobody = guarded.as_(None)
    wrong = Api(guarded.url, headers={"Authorization": "Bearer x"}, verify=guarded._verify())

    for api in (nobody, wrong):
        answer = api.http.get("/loki/api/v1/labels", headers={"X-Scope-OrgID": "red"})
        assert answer.status_code == 401
        assert "www-authenticate" in answer.headers
    assert nobody.push({"job": "guarded"}, LINE).status_code == 401
    assert nobody.http.get("/ready").status_code == 200


def test_a_missing_tenant_is_refused_as_loki_does(guarded: TlsServer) -> None:
    answer = guarded.as_("admin", None).http.get("/loki/api/v1/labels")

    assert answer.status_code == 401
    assert "no org id" in answer.text


def test_logcli_comes_in_with_a_password(guarded: TlsServer) -> None:
    guarded.as_("pusher").must_push({"job": "for-logcli"}, LINE)
    logcli = [program("logcli"), "--quiet", f"--addr={guarded.url}", f"--ca-cert={guarded.certificate / 'server.pem'}"]
    query = ["--username=grafana", "--org-id=red", "query", '{job="for-logcli"}', "--since=1h", "--output=raw"]

    right = subprocess.run(
        [*logcli, "--password=s3cret pass", *query], text=True, capture_output=True, timeout=30, check=False
    )
    wrong = subprocess.run(
        [*logcli, "--password=wrong", *query], text=True, capture_output=True, timeout=30, check=False
    )

    assert right.stdout.strip() == "a line", right.stderr
    assert wrong.returncode != 0
    assert "wrong credentials" in wrong.stderr


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Host": "evil.example.org"},
        {"Host": "evil.example.org:3100"},
    ],
)
def test_a_page_elsewhere_can_neither_read_nor_push(sillok_url: str, headers: dict[str, str]) -> None:
    body = {"streams": [{"stream": {"job": "evil"}, "values": [[str(time.time_ns()), "x"]]}]}

    assert httpx.get(f"{sillok_url}/loki/api/v1/labels", headers=headers).status_code == 403
    assert httpx.post(f"{sillok_url}/loki/api/v1/push", json=body, headers=headers).status_code == 403


def test_a_zip_bomb_is_refused_and_does_no_harm(sillok_url: str, job: str) -> None:
    bomb = gzip.compress(b"0" * (1 << 30), compresslevel=9)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    begin = time.monotonic()

    answer = httpx.post(f"{sillok_url}/loki/api/v1/push", content=bomb, headers=headers, timeout=30)

    assert answer.status_code in (400, 413)
    assert time.monotonic() - begin < 5
    Api(sillok_url).must_push({"job": job}, LINE)


def test_ten_thousand_idle_connections_do_no_harm(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 11_000:
        missing(f"this machine allows {hard} open files a process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 11_000), hard))
    connections: list[socket.socket] = []
    try:
        with Server(tmp_path / "data") as server:
            for _ in range(10_000):
                connections.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            begin = time.monotonic()
            server.api.must_push({"job": "idle"}, LINE)
            found = server.api.lines('{job="idle"}')
            took_s = time.monotonic() - begin
            server.stop()
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert found == ["a line"]
    assert took_s < 2


def test_ten_thousand_half_requests_do_no_harm(tmp_path: Path) -> None:
    """A head that never ends: each connection costs a little, for a bounded time."""
    with Server(tmp_path / "data") as server:
        connections = []
        for _ in range(2_000):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            connection.sendall(b"POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\n")
            connections.append(connection)
        server.api.must_push({"job": "slow"}, LINE)
        found = server.api.lines('{job="slow"}')
        for connection in connections:
            connection.close()

    assert found == ["a line"]


def test_a_warning_names_an_open_address_without_credentials(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--listen", "0.0.0.0:0") as open_, Server(tmp_path / "other") as closed:
        warnings = [line for line in open_.output().splitlines() if "credential" in line.lower()]

        assert len(warnings) == 1
        assert "credential" not in closed.output().lower()


def test_tenants_never_see_each_other(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--auth-enabled") as server:
        apis = {name: Api(server.url, headers={"X-Scope-OrgID": name}) for name in ("tenant-a", "tenant-b")}
        for name, api in apis.items():
            api.must_push(
                {"job": "shared-name", "owner": name, f"only_{name[-1]}": "x"}, [(time.time_ns(), f"of {name}")]
            )

        for name, api in apis.items():
            other = {"tenant-a": "tenant-b", "tenant-b": "tenant-a"}[name]
            seen = [
                api.get("/loki/api/v1/labels"),
                api.get("/loki/api/v1/label/owner/values"),
                api.get("/loki/api/v1/series", **{"match[]": '{job="shared-name"}'}),
                api.get("/loki/api/v1/query_range", query='{job="shared-name"}'),
                api.get("/loki/api/v1/index/volume", query='{job="shared-name"}'),
            ]
            assert f"of {name}" in json.dumps(seen)
            assert other not in json.dumps(seen)
            assert f"only_{other[-1]}" not in json.dumps(seen)
