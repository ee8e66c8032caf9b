"""An existing loki-config.yaml (T-07): what has a meaning is used, everything else is named once, with its line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sillok.config.loki import ExistingLoki, read_loki
from sillok.config.sillok import Settings, load
from sillok.errors import ConfigError
from sillok.model.limits import StreamRetention

HOUR_NS = 3_600_000_000_000

# What the users of T-07 have: one process, files on disk, late lines kept, two weeks.
USERS_FILE = """\
auth_enabled: false
server:
  http_listen_port: 3100
  grpc_listen_port: 9096
common:
  path_prefix: /loki
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
schema_config:
  configs:
    - from: 2020-10-24
      store: tsdb
      object_store: filesystem
      schema: v13
      index: {prefix: index_, period: 24h}
limits_config:
  reject_old_samples: false
  retention_period: 336h
compactor:
  working_directory: /loki/compactor
  retention_enabled: true
"""


def existing(text: str, **variables: str) -> ExistingLoki:
    return read_loki(text, "loki-config.yaml", variables=variables or None)


def settings(text: str, **variables: str) -> Settings:
    return load(below=existing(text, **variables).assignments).settings


def test_the_users_file_works_as_it_stands() -> None:
    found = settings(USERS_FILE)
    assert found.server.listen == ("0.0.0.0:3100",)
    assert not found.auth.enabled
    assert not found.limits.reject_old_samples
    assert found.limits.retention_period_ns == 336 * HOUR_NS


def test_everything_without_a_meaning_is_named_once_with_file_and_line() -> None:
    warnings = existing(USERS_FILE).warnings
    named = [re.match(r"loki-config\.yaml:(\d+): `([\w.]+)` has no meaning here", warning) for warning in warnings]
    assert [(found.group(1), found.group(2)) for found in named if found] == [
        ("4", "server.grpc_listen_port"),
        ("6", "common.path_prefix"),
        ("7", "common.replication_factor"),
        ("10", "common.ring.kvstore.store"),
        ("12", "schema_config.configs"),
        ("22", "compactor.working_directory"),
    ]
    assert len(warnings) == 6


def test_no_setting_of_a_large_file_is_dropped_without_a_word(peers_folder: Path) -> None:
    import yaml

    path = peers_folder / "loki-reference.yaml"
    loki = read_loki(path.read_text(), path.name)
    used = {assignment.node.place for assignment in loki.assignments}
    used.add(f"{path.name}:6")  # http_listen_address, which becomes one value with the port of line 7
    for leaf, line in _leaves(yaml.compose(path.read_text())):
        place = f"{path.name}:{line}"
        is_named = any(f"{place}: `{leaf}` has no meaning" in warning for warning in loki.warnings)
        assert is_named != (place in used), leaf


def _leaves(node: object, prefix: str = "") -> list[tuple[str, int]]:
    import yaml

    found: list[tuple[str, int]] = []
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        if isinstance(value, yaml.MappingNode) and value.value:
            found += _leaves(value, f"{prefix}{key.value}.")
        else:
            found.append((prefix + key.value, key.start_mark.line + 1))
    return found


@pytest.fixture
def peers_folder() -> Path:
    folder = Path(os.environ.get("SILLOK_PEERS") or Path(__file__).parents[3] / "shared" / "peers")
    if not (folder / "loki-reference.yaml").exists():
        assert not (Path(__file__).parents[3] / "shared").exists(), f"{folder} has no loki-reference.yaml"
        pytest.skip("the real Loki's configuration files are not here (SILLOK_PEERS)")
    return folder


def test_limits_go_by_lokis_own_names() -> None:
    text = """
auth_enabled: false
limits_config:
  max_line_size: 1MB
  max_entries_limit_per_query: 100
  ingestion_rate_mb: 4
  max_query_length: 0
  retention_period: 0s
  retention_stream:
    - {selector: '{level="debug"}', priority: 1, period: 24h}
"""
    limits = settings(text).limits
    assert limits.max_line_size_bytes == 1024**2
    assert limits.max_entries_limit_per_query == 100
    assert limits.ingestion_rate_mb == 4
    assert limits.max_query_length_ns == 0
    assert limits.retention_stream == (StreamRetention('{level="debug"}', 1, 24 * HOUR_NS),)


def test_flags_and_sillok_yaml_lie_over_lokis_file() -> None:
    below = existing(USERS_FILE).assignments
    found = load("limits: {retention_period: 30d}\n", below=below, overrides=["auth.enabled=true"]).settings
    assert found.limits.retention_period_ns == 720 * HOUR_NS
    assert found.auth.enabled
    assert found.server.listen == ("0.0.0.0:3100",)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("limits_config: {retention_period: 336h}", 336),
        ("limits_config: {retention_period: 336h}\ncompactor: {retention_enabled: true}", 336),
        ("limits_config: {retention_period: 336h}\ncompactor: {retention_enabled: false}", 0),
        ("limits_config: {}", 0),
        ("table_manager: {retention_deletes_enabled: true, retention_period: 720h}", 720),
        ("table_manager: {retention_deletes_enabled: false, retention_period: 720h}", 0),
        ("table_manager: {retention_period: 720h}", 0),
    ],
)
def test_nothing_is_deleted_that_loki_would_have_kept(text: str, hours: int) -> None:
    assert settings(text).limits.retention_period_ns == hours * HOUR_NS


def test_a_retention_that_is_not_used_is_told() -> None:
    text = "limits_config: {retention_period: 336h}\ncompactor: {retention_enabled: false}\nauth_enabled: false\n"
    assert ["`limits_config.retention_period` is not used" in warning for warning in existing(text).warnings] == [True]


def test_a_file_that_does_not_say_auth_enabled_means_true_as_in_loki() -> None:
    assert settings("limits_config: {}\n").auth.enabled
    assert any("X-Scope-OrgID" in warning for warning in existing("limits_config: {}\n").warnings)


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("{}", "0.0.0.0:3100"),
        ("{http_listen_port: 3200}", "0.0.0.0:3200"),
        ("{http_listen_address: 127.0.0.1}", "127.0.0.1:3100"),
        ("{http_listen_address: '::1', http_listen_port: 1}", "[::1]:1"),
    ],
)
def test_the_server_listens_where_loki_would(server: str, address: str) -> None:
    assert settings(f"server: {server}\n").server.listen == (address,)


def test_the_environment_is_expanded_only_when_asked_for() -> None:
    text = "server:\n  http_listen_port: ${PORT:-3100}\n"
    assert settings(text, PORT="3200").server.listen == ("0.0.0.0:3200",)
    assert settings(text, OTHER="x").server.listen == ("0.0.0.0:3100",)
    with pytest.raises(ConfigError, match=r"loki-config\.yaml:2: .*-config\.expand-env=true"):
        settings(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("limits_config:\n  retention_period: two weeks\n", "loki-config.yaml:2: `limits_config.retention_period`: "),
        ("auth_enabled: maybe\n", "loki-config.yaml:1: `auth_enabled`: expected true or false"),
        ("compactor:\n  retention_enabled: 3\n", "loki-config.yaml:2: `compactor.retention_enabled`: "),
        ("server: {listen: a}\nlimits: {}\n", "give it with --config"),
        ("server:\n\tport: 1\n", "loki-config.yaml:2: not valid YAML"),
    ],
)
def test_a_value_that_has_a_meaning_must_fit(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    assert problem in str(caught.value)


def test_a_misspelt_setting_does_not_look_like_one_without_a_meaning() -> None:
    warnings = existing("limits_config:\n  retenton_period: 336h\n").warnings
    assert "did you mean `limits_config.retention_period`?" in warnings[0]
