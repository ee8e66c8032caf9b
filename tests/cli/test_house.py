"""What the front door is told, and when it warns."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pytest

from sillok.cli import config, serve
from sillok.cli.house import binds_of, check_exposure, server_settings, tls_of
from sillok.config.sillok import load
from sillok.errors import ConfigError
from sillok.http.settings import Bind, HttpLimits, Role, ServerSettings, TlsFiles

TOKEN_HASH = "a" * 64
CREDENTIAL = f"{{name: a, token_hash: {TOKEN_HASH}, roles: [push, read], tenants: ['*']}}"


@pytest.mark.parametrize(
    ("hosts", "is_open"),
    [
        (["127.0.0.1"], False),
        (["::1", "localhost", "127.8.8.8"], False),
        (["0.0.0.0"], True),
        (["127.0.0.1", "192.168.0.7"], True),
        (["::"], True),
        (["monitor.web10.site"], True),
    ],
)
def test_only_an_open_address_without_credentials_is_worth_a_warning(hosts: list[str], is_open: bool) -> None:
    binds = [Bind(host, 3100) for host in hosts]
    assert len(list(check_exposure(binds, ServerSettings()))) == is_open
    guarded = server_settings(load(f"auth: {{credentials: [{CREDENTIAL}]}}").settings)
    assert list(check_exposure(binds, guarded)) == []


def test_defaults_here_are_the_defaults_of_the_front_door() -> None:
    assert server_settings(load().settings) == ServerSettings()
    assert binds_of(load().settings) == (Bind("127.0.0.1", 3100),)
    assert tls_of(load().settings) is None


def test_every_bound_of_a_listener_can_be_set() -> None:
    """Except for those that only a test of the listener needs to change."""
    fixed = {"body_window_s", "min_body_bytes", "stop_timeout_s", "max_form_body_bytes"}
    names = {field.name for field in dataclasses.fields(HttpLimits)} - fixed
    text = {
        "max_connections": "99",
        "max_websockets": "98",
        "max_header": "97KB",
        "head_timeout": "96s",
        "idle_timeout": "95s",
        "write_timeout": "94s",
        "max_push_body": "93KB",
        "max_decompressed": "92KB",
        "max_decompression_ratio": "91",
        "max_bodies_in_memory": "90MB",
    }
    changed = server_settings(load(overrides=[f"server.{key}={value}" for key, value in text.items()]).settings).limits
    assert {name for name in names if getattr(changed, name) == getattr(HttpLimits(), name)} == set()


def test_credentials_come_from_the_file_and_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text(f"credentials:\n  - {{name: b, token_hash: {'b' * 64}, roles: [admin]}}\n")
    text = f"auth: {{credentials: [{CREDENTIAL}], credentials_file: {file}}}"
    first, second = server_settings(load(text).settings).credentials
    assert (first.name, first.roles, first.tenants) == ("a", {Role.PUSH, Role.READ}, ("*",))
    assert (second.name, second.roles, second.tenants) == ("b", {Role.ADMIN}, ("fake",))


def test_the_own_collector_is_let_in_where_there_are_credentials() -> None:
    guarded = load(f"auth: {{credentials: [{CREDENTIAL}]}}").settings
    own = server_settings(guarded, collector_token_hash="c" * 64).credentials[-1]
    assert (own.token_hash, own.roles) == ("c" * 64, {Role.PUSH})
    assert server_settings(load().settings, collector_token_hash="c" * 64).credentials == ()


def test_tls_is_two_files() -> None:
    text = "server: {tls: {cert_file: a.pem, key_file: b.pem}}"
    assert tls_of(load(text).settings) == TlsFiles(Path("a.pem"), Path("b.pem"))


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    serve.COMMAND.add_arguments(parser)
    return parser.parse_args(options)


@pytest.mark.parametrize(
    ("options", "listen"),
    [
        (["-server.http-listen-port=3200"], ("0.0.0.0:3200",)),
        (["--server.http-listen-port", "3200", "-server.http-listen-address=127.0.0.1"], ("127.0.0.1:3200",)),
        (["-server.http-listen-address=::1"], ("[::1]:3100",)),
        (["-server.http-listen-port=3200", "--listen", "127.0.0.1:1", "--listen", ":2"], ("127.0.0.1:1", "0.0.0.0:2")),
    ],
)
def test_lokis_flags_say_where_to_listen(
    options: list[str], listen: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.load(parsed(*options)).settings.server.listen == listen


def test_lokis_file_is_expanded_by_its_own_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAX_LINE", "7KB")
    file = tmp_path / "loki.yaml"
    file.write_text("limits_config: {max_line_size: '${MAX_LINE}'}\n")
    for flag in ("-config.expand-env=true", "-config.expand-env", "--config.expand-env=true"):
        loaded = config.load(parsed("-config.file", str(file), flag, "-auth.enabled=false", "-log.level=warn"))
        assert loaded.settings.limits.max_line_size_bytes == 7 * 1024
        assert not loaded.settings.auth.enabled
        assert loaded.settings.log.level == "warn"
    with pytest.raises(ConfigError, match=r"loki\.yaml:1: `limits_config\.max_line_size`"):
        config.load(parsed("-config.file", str(file)))


def test_the_file_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.load(parsed()).files == []
    (tmp_path / "sillok.yaml").write_text("log: {level: debug}\n")
    assert config.load(parsed()).files == ["sillok.yaml"]
    (tmp_path / "other.yaml").write_text("log: {level: error}\n")
    monkeypatch.setenv("SILLOK_CONFIG", "other.yaml")
    assert config.load(parsed()).settings.log.level == "error"
    assert config.load(parsed("--config", "sillok.yaml", "--data", "/d")).settings.data == "/d"
