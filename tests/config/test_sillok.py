"""`sillok.yaml`, the environment and flags become settings, or a list of what is wrong and where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.config.kinds import Unfit, parse_duration_ns, show_bytes, show_duration
from sillok.config.sillok import BY_VARIABLE, DEFAULT_FILES, KEYS, FileSet, Settings, credentials_in, load
from sillok.errors import ConfigError

HOUR_NS = 3_600_000_000_000
TOKEN_HASH = "a" * 64


def problems(text: str | None = None, **layers: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, "sillok.yaml", **layers)  # type: ignore[arg-type]
    return str(caught.value).splitlines()


def test_nothing_at_all_is_a_configuration() -> None:
    assert load().settings == Settings()


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "server:\n"])
def test_an_empty_file_is_a_configuration(text: str) -> None:
    assert load(text).settings == Settings()


def test_the_environment_wins_over_the_file_and_flags_win_over_both() -> None:
    text = "log: {level: debug}\nlimits: {max_line_size: 1KB, query_timeout: 1s}\n"
    variables = {"SILLOK_LIMITS_MAX_LINE_SIZE": "2KB", "SILLOK_LIMITS_QUERY_TIMEOUT": "2s"}
    loaded = load(text, variables=variables, overrides=["limits.query_timeout=3s"])
    assert loaded.settings.log.level == "debug"
    assert loaded.settings.limits.max_line_size_bytes == 2048
    assert loaded.settings.limits.query_timeout_ns == 3_000_000_000
    assert loaded.places["limits.query_timeout"] == "--set limits.query_timeout"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server:\n  listn: x\n", "sillok.yaml:2: `server.listn`: unknown key; did you mean `server.listen`?"),
        ("limts:\n  a: 1\n", "sillok.yaml:1: `limts`: unknown key; did you mean `limits`?"),
        (
            "server:\n  max_line_size: 1KB\n",
            "`server.max_line_size`: unknown key; did you mean `limits.max_line_size`?",
        ),
        ("auth_enabled: true\n", "give that file with -config.file"),
        ("server: 3100\n", "sillok.yaml:1: `server`: expected keys below it, found `3100`"),
        ("auth:\n  enabled: maybe\n", "sillok.yaml:2: `auth.enabled`: expected true or false, found `maybe`"),
        ("limits:\n  max_line_size: 10XB\n", "sillok.yaml:2: `limits.max_line_size`: expected a size"),
        ("limits:\n  query_timeout: 10\n", "sillok.yaml:2: `limits.query_timeout`: expected a duration"),
        ("limits:\n  retention_period: 3h\n", "sillok.yaml:2: `limits.retention_period`: expected at least 24h"),
        ("limits:\n  max_query_series: -1\n", "expected a whole number from 0 up, found `-1`"),
        ("server:\n  listen: [localhost]\n", "sillok.yaml:2: `server.listen`: expected HOST:PORT"),
        ("server:\n  listen: ['::1:3100']\n", "write an IPv6 address in brackets, as in [::1]:3100"),
        ("server:\n  listen: []\n", "`server.listen`: at least one address is needed"),
        ("server:\n  tls: {cert_file: a.pem}\n", "`server.tls.key_file` is missing; TLS needs both files"),
        ("log:\n  level: loud\n", "expected one of debug, info, warn, error, found `loud`"),
        ("agent:\n  labels: {1a: x}\n", "`1a` cannot be the name of a label"),
        ("agent:\n  files: [{service: a}]\n", "`paths` is missing"),
        (
            "agent:\n  files: [{paths: a, jop: b}]\n",
            "`jop` is not one of its keys: paths, exclude, service, job, labels",
        ),
        ("overrides:\n  a:\n    nope: 1\n", "sillok.yaml:3: `overrides`: `nope` is not a limit"),
        ("overrides:\n  'a b': {}\n", "contains unsupported character"),
        ("auth:\n  default_tenant: a/b\n", "contains unsupported character"),
        ("a: [\n", "sillok.yaml:2: not valid YAML"),
        ("log:\n  level: info\n  level: warn\n", "sillok.yaml:3: `level` is written twice (first at sillok.yaml:2)"),
        ("- a\n", "sillok.yaml:1: expected `key: value` lines, found a list"),
        ("? [a]\n: b\n", "a key must be plain text"),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_remedy(text: str, problem: str) -> None:
    assert any(problem in told for told in problems(text)), problems(text)


def test_all_mistakes_are_told_at_once() -> None:
    told = problems(
        "server: {listn: a}\nlog: {level: loud}\n",
        variables={"SILLOK_LIMITS_MAX_LINE_SIZ": "1"},
        overrides=["limits.max_line_siz=1", "nothing"],
    )
    assert len(told) == 5


@pytest.mark.parametrize(
    "credential",
    [
        "{token_hash: HASH, roles: [push]}",
        "{name: a, roles: [push]}",
        "{name: a, token_hash: secret, roles: [push]}",
        "{name: a, token_hash: HASH}",
        "{name: a, token_hash: HASH, roles: [write]}",
        "{name: a, user: u, password_hash: plain, roles: [read]}",
        "{name: a, password_hash: '$argon2id$v=19$m=1', roles: [read]}",
        "{name: a, token_hash: HASH, roles: [push], tenants: [a/b]}",
    ],
)
def test_a_credential_that_could_let_the_wrong_one_in_is_refused(credential: str) -> None:
    assert (
        "sillok.yaml:2: `auth.credentials`"
        in problems(f"auth:\n  credentials: [{credential.replace('HASH', TOKEN_HASH)}]\n")[0]
    )


def test_no_secret_is_ever_shown() -> None:
    from sillok.config.effective import render

    text = f"auth:\n  credentials: [{{name: a, token_hash: {TOKEN_HASH}, roles: [push]}}]\n"
    shown = render(load(text, variables={"SILLOK_STORE_CLICKHOUSE_PASSWORD": "hush"}))
    assert TOKEN_HASH not in shown
    assert "hush" not in shown


def test_a_credentials_file_has_one_key() -> None:
    entry = credentials_in(f"credentials:\n  - {{name: a, token_hash: {TOKEN_HASH}, roles: push}}\n", "c.yaml")[0]
    assert (entry.name, entry.roles) == ("a", ("push",))
    with pytest.raises(ConfigError, match=r"c\.yaml:1: `tokens`: unknown key"):
        credentials_in("tokens: []\n", "c.yaml")


def test_lists_and_pairs_are_short_in_the_environment() -> None:
    variables = {"SILLOK_SERVER_LISTEN": "127.0.0.1:1, [::1]:2,:3,4", "SILLOK_AGENT_LABELS": "team=a,zone=b"}
    settings = load(variables=variables).settings
    assert settings.server.listen == ("127.0.0.1:1", "[::1]:2", "0.0.0.0:3", "127.0.0.1:4")
    assert settings.agent.labels == (("team", "a"), ("zone", "b"))


def test_a_variable_that_docker_or_kubernetes_sets_for_a_service_is_left_alone() -> None:
    variables = {
        "SILLOK_SERVER_SERVICE_HOST": "10.0.0.1",
        "SILLOK_SERVER_PORT": "tcp://10.0.0.1:3100",
        "SILLOK_SERVER_PORT_3100_TCP_ADDR": "10.0.0.1",
        "SILLOK_URL": "http://x",
    }
    assert load(variables=variables).settings == Settings()


def test_the_variable_of_a_misspelt_key_is_refused() -> None:
    told = problems(variables={"SILLOK_SERVER_LISTN": ":1"})
    assert told == [
        "environment variable SILLOK_SERVER_LISTN: no key has this name; did you mean `SILLOK_SERVER_LISTEN`?"
    ]


def test_every_key_has_a_variable_of_its_own() -> None:
    assert len(BY_VARIABLE) == len(KEYS)


def test_loki_url_is_the_target_and_the_longer_name_wins() -> None:
    """T-08."""
    assert load(variables={"LOKI_URL": "http://a"}).settings.agent.loki_url == "http://a"
    both = {"LOKI_URL": "http://a", "SILLOK_AGENT_LOKI_URL": "http://b"}
    assert load(variables=both).settings.agent.loki_url == "http://b"


def test_files_are_globs_and_mappings() -> None:
    text = (
        "agent:\n  files:\n    - /a/*.log\n    - {paths: [/b/*.log], service: b, labels: {team: x}}\n    - /c/*.log\n"
    )
    assert load(text).settings.agent.files == (
        FileSet(("/a/*.log", "/c/*.log")),
        FileSet(("/b/*.log",), service="b", labels=(("team", "x"),)),
    )
    assert load().settings.agent.files == (FileSet(DEFAULT_FILES),)


def test_a_tenant_may_have_limits_of_its_own() -> None:
    settings = load("limits: {max_line_size: 1KB}\noverrides:\n  big: {max_line_size: 1MB}\n").settings
    assert settings.limits_of("big").max_line_size_bytes == 1024**2
    assert settings.limits_of("other").max_line_size_bytes == 1024


def test_the_effective_configuration_can_be_read_again() -> None:
    from sillok.config.effective import render

    text = (
        "server: {listen: ['[::1]:3100']}\nlimits: {retention_period: 14d, max_query_length: 0s, retention_stream: "
        "[{selector: '{app=\"a, b\"}', priority: 1, period: 24h}]}\noverrides: {a: {max_line_size: 1MB}}\n"
        "agent: {files: [{paths: ['/a b/*'], service: x}], labels: {team: 'a: b'}}\n"
    )
    once = load(text)
    assert load(render(once)).settings == once.settings
    assert load(render(load())).settings == Settings()


@given(st.integers(min_value=0, max_value=2**62))
def test_a_duration_that_is_written_can_be_read(duration_ns: int) -> None:
    assert parse_duration_ns(show_duration(duration_ns)) == duration_ns


@given(st.integers(min_value=0, max_value=2**62))
def test_a_size_that_is_written_can_be_read(size: int) -> None:
    assert load(overrides=[f"store.max_memory={show_bytes(size)}"]).settings.store.max_memory_bytes == size


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [("0", 0), ("336h", 336 * HOUR_NS), ("14d", 336 * HOUR_NS), ("1w", 168 * HOUR_NS), ("1h30m", 5400 * 10**9)],
)
def test_durations_of_go_and_prometheus_are_known(text: str, duration_ns: int) -> None:
    assert parse_duration_ns(text) == duration_ns


@pytest.mark.parametrize("text", ["", "h", "1", "1 h", "-1h", "1hour", "1h 30m", "9999999y", "1.5d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        parse_duration_ns(text)


@given(st.text(max_size=200))
def test_no_text_at_all_breaks_the_reader(text: str) -> None:
    told = "sillok.yaml"
    try:
        load(text)
    except ConfigError as error:
        told = str(error)
    assert all("sillok.yaml" in line for line in told.splitlines())


@pytest.mark.parametrize("text", ["[" * 5000, "a: &a [*a]\n", "a: " + "{a: " * 100 + "1" + "}" * 100])
def test_nesting_without_end_is_refused(text: str) -> None:
    assert "nested" in problems(text)[0]


def test_aliases_that_explode_are_refused() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert "more than 100000 values" in problems(bomb)[0]
