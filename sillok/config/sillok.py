"""`sillok.yaml`: every key, its default and its meaning; and reading it, with the environment and flags on top.

Layers are laid over each other: Loki's file, `sillok.yaml`, the environment, flags; the last one that says
something about a key wins. Every mistake of every layer is told at once.
"""
# ruff: noqa: RUF009 - `key` and `section` return dataclass fields

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sillok.config import document, keys
from sillok.config.document import Items, Node, Place, Scalar
from sillok.config.document import Mapping as MappingNode
from sillok.config.keys import ENVIRONMENT_PREFIX, Key, Section, key, section
from sillok.config.kinds import (
    BOOL,
    BYTES,
    DURATION,
    PAIRS,
    TEXT,
    TEXTS,
    Kind,
    Unfit,
    list_from_text,
    list_of,
    one_of,
    quote,
    records,
    whole,
)
from sillok.config.limits import LIMITS, OVERRIDES, Override, limits_from
from sillok.errors import BadRequest, ConfigError
from sillok.model.labels import LabelSet, is_label_name, label_set
from sillok.model.limits import Limits
from sillok.model.tenant import DEFAULT_TENANT, check_tenant

MIB = 1024 * 1024
GIB = 1024 * MIB
SECOND_NS = 1_000_000_000

ROLES = ("push", "read", "admin")
DEFAULT_FILES = ("/var/log/**/*.log", "./logs/*/*.log")

# Variables with the prefix that are no keys: those of the commands, and what Docker and Kubernetes set in
# every container for a service that is called `sillok…`.
_FOREIGN_VARIABLE = re.compile(
    r"SILLOK_(URL|ORG_ID|TOKEN|TOKEN_FILE|USER|PASSWORD|CA_FILE|CONFIG)\Z|_SERVICE_(HOST|PORT)|_PORT(_\d+_|\Z)|_(NAME|ENV_\w+)\Z"
)


@dataclass(frozen=True, slots=True)
class CredentialEntry:
    """Who may come in: a token by its hash, or a user with the hash of a password."""

    name: str
    token_hash: str | None
    user: str | None
    password_hash: str | None
    tenants: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files that the collector reads, and the labels they get."""

    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    service: str | None = None
    job: str = "files"
    labels: LabelSet = ()


_ARGON2 = re.compile(r"\$argon2(id|i|d)\$")
_SHA256_HEX = re.compile(r"[0-9a-f]{64}\Z")


def _build_credential(given: Mapping[str, Any]) -> CredentialEntry:
    if not given.get("name"):
        raise Unfit("a credential needs a `name`")
    name = given["name"]
    has_token, has_password = bool(given.get("token_hash")), bool(given.get("password_hash"))
    if has_token == has_password:
        raise Unfit(
            f"credential `{name}` needs either `token_hash` (`sillok hash-token`) or `user` and `password_hash`"
        )
    if has_token and not _SHA256_HEX.match(given["token_hash"]):
        raise Unfit(f"`token_hash` of `{name}` is not the SHA-256 of a token: make one with `sillok hash-token`")
    if has_password and (not given.get("user") or not _ARGON2.match(given["password_hash"])):
        raise Unfit(f"credential `{name}` needs a `user` and a `password_hash` made with `sillok hash-password`")
    roles = given.get("roles", ())
    if not roles or any(role not in ROLES for role in roles):
        raise Unfit(f"`roles` of `{name}` must be some of {', '.join(ROLES)}")
    tenants = given.get("tenants") or (DEFAULT_TENANT,)
    for tenant in tenants:
        _check_tenant(tenant)
    return CredentialEntry(name, given.get("token_hash"), given.get("user"), given.get("password_hash"), tenants, roles)


def _check_tenant(tenant: str) -> None:
    try:
        if tenant != "*":
            check_tenant(tenant)
    except BadRequest as error:
        raise Unfit(str(error)) from None


def _unbuild_credential(entry: CredentialEntry) -> Mapping[str, Any]:
    shown: dict[str, Any] = {"name": entry.name}
    if entry.token_hash is not None:
        shown["token_hash"] = "<hidden>"  # noqa: S105 - a placeholder
    if entry.user is not None:
        shown |= {"user": entry.user, "password_hash": "<hidden>"}
    return shown | {"tenants": entry.tenants, "roles": entry.roles}


CREDENTIALS = records(
    {"name": TEXT, "token_hash": TEXT, "user": TEXT, "password_hash": TEXT, "tenants": TEXTS, "roles": TEXTS},
    _build_credential,
    _unbuild_credential,
)


def _build_file_set(given: Mapping[str, Any]) -> FileSet:
    if not given.get("paths"):
        raise Unfit("`paths` is missing")
    return FileSet(
        given["paths"],
        given.get("exclude", ()),
        given.get("service"),
        given.get("job", "files"),
        _label_set(given.get("labels", ())),
    )


def _label_set(pairs: Iterable[tuple[str, str]]) -> LabelSet:
    pairs = tuple(pairs)
    for name, _ in pairs:
        if not is_label_name(name):
            raise Unfit(f"`{name}` cannot be the name of a label: letters, digits and _ only, no digit first")
    return label_set(pairs)


def _unbuild_file_set(entry: FileSet) -> Mapping[str, Any]:
    shown: dict[str, Any] = {"paths": entry.paths}
    if entry.exclude:
        shown["exclude"] = entry.exclude
    if entry.service is not None:
        shown["service"] = entry.service
    return shown | {"job": entry.job} | ({"labels": entry.labels} if entry.labels else {})


_FILE_RECORDS = records(
    {"paths": TEXTS, "exclude": TEXTS, "service": TEXT, "job": TEXT, "labels": PAIRS},
    _build_file_set,
    _unbuild_file_set,
)


def _parse_files(node: Node) -> tuple[FileSet, ...]:
    """Globs, and mappings where a glob needs more said about it."""
    if isinstance(node, Items):
        plain = tuple(item for item in node.nodes if isinstance(item, Scalar))
        rest = tuple(item for item in node.nodes if not isinstance(item, Scalar))
    else:
        plain, rest = (), ()
        if isinstance(node, MappingNode):
            rest = (node,)
        elif not node.is_null and node.text.strip():
            plain = (node,)
    globs = tuple(item.text for item in plain)
    described: tuple[FileSet, ...] = _FILE_RECORDS.parse(Items(rest, node.place))
    return ((FileSet(globs),) if globs else ()) + described


def _show_files(sets: Sequence[FileSet]) -> str:
    if len(sets) == 1 and sets[0] == FileSet(sets[0].paths):
        return TEXTS.show(sets[0].paths)
    return _FILE_RECORDS.show(sets)


FILES = Kind("list of globs or of {paths, exclude, service, job, labels}", _parse_files, _show_files, list_from_text)


def _parse_labels(node: Node) -> LabelSet:
    return _label_set(PAIRS.parse(node))


LABELS = Kind(PAIRS.name, _parse_labels, PAIRS.show, PAIRS.from_text)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:3100`, `[::1]:3100`, `localhost:3100`, `:3100` (all interfaces) or `3100` (loopback).

    Raises:
        Unfit: it is none of these.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host = "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535:
        raise Unfit(f"expected HOST:PORT such as 127.0.0.1:3100, found `{text}`")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise Unfit(f"write an IPv6 address in brackets, as in [::1]:{port}; found `{text}`")
    return host or "0.0.0.0", int(port)  # noqa: S104 - what `:3100` means everywhere; it brings a warning


def show_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse_address(node: Node) -> str:
    try:
        return show_address(*parse_address(TEXT.parse(node)))
    except Unfit as unfit:
        raise Unfit(str(unfit), node.place) from None


def _parse_optional_address(node: Node) -> str:
    return _parse_address(node) if TEXT.parse(node).strip() else ""


ADDRESS = Kind("HOST:PORT", _parse_optional_address, quote, TEXT.from_text)
ADDRESSES = list_of(Kind("HOST:PORT", _parse_address, quote, TEXT.from_text), "list of HOST:PORT")


def _parse_sensitive(node: Node) -> str:
    text: str = TEXT.parse(node)
    return text


SECRET = Kind("text", _parse_sensitive, lambda value: "<hidden>" if value else quote(value), TEXT.from_text)


@dataclass(frozen=True, slots=True)
class Tls:
    cert_file: str = key("", TEXT, "PEM file with the certificate and its chain. Without it the server speaks HTTP.")
    key_file: str = key("", TEXT, "PEM file with the certificate's key.")


@dataclass(frozen=True, slots=True)
class Server:
    listen: tuple[str, ...] = key(
        ("127.0.0.1:3100",),
        ADDRESSES,
        "Addresses to listen on. `:3100` is every interface, `3100` is loopback. On anything but loopback "
        "without credentials the server starts with a warning.",
    )
    origins: tuple[str, ...] = key(
        (), TEXTS, "Web pages of other servers that may call this one, for example `https://grafana.example.org`."
    )
    hosts: tuple[str, ...] = key(
        (), TEXTS, "Names, beside localhost, that a server on loopback without credentials answers to."
    )
    max_connections: int = key(
        4096, whole(at_least=16), "Open connections; at the limit the one that is idle longest is closed."
    )
    max_websockets: int = key(256, whole(), "Live tails open at a time, of all tenants.")
    max_header_bytes: int = key(64 * 1024, BYTES, "Longest head of a request.")
    head_timeout_ns: int = key(10 * SECOND_NS, DURATION, "Longest time for the head of a request to arrive.")
    idle_timeout_ns: int = key(75 * SECOND_NS, DURATION, "How long a connection may wait for its next request.")
    write_timeout_ns: int = key(60 * SECOND_NS, DURATION, "How long a client may take to accept more of its answer.")
    max_push_body_bytes: int = key(64 * MIB, BYTES, "Longest body of a push, as it comes over the wire.")
    max_decompressed_bytes: int = key(128 * MIB, BYTES, "Longest body of a push, decompressed.")
    max_decompression_ratio: int = key(
        500, whole(at_least=1), "Most bytes that one byte of a compressed body may become."
    )
    max_bodies_in_memory_bytes: int = key(512 * MIB, BYTES, "Bodies of all requests together.")
    tls: Tls = section(Tls, "TLS. Both files, or neither.")


@dataclass(frozen=True, slots=True)
class Auth:
    enabled: bool = key(
        False,
        BOOL,
        "As Loki's `auth_enabled`: every request names its tenant in `X-Scope-OrgID`. Off: there is one tenant.",
    )
    default_tenant: str = key(DEFAULT_TENANT, TEXT, "The one tenant while `auth.enabled` is off.")
    credentials: tuple[CredentialEntry, ...] = key(
        (),
        CREDENTIALS,
        "Who may come in. Without any, everybody may. `token_hash` from `sillok hash-token`, or `user` and "
        "`password_hash` from `sillok hash-password`; `roles` are some of push, read, admin; `tenants` may hold `*`.",
    )
    credentials_file: str = key("", TEXT, "A YAML file with one key, `credentials`, of the same form.")


@dataclass(frozen=True, slots=True)
class Store:
    max_memory_bytes: int = key(2 * GIB, BYTES, "Memory the embedded engine may use.")
    max_result_bytes: int = key(256 * MIB, BYTES, "Largest answer the engine gives to one question.")
    threads: int = key(0, whole(at_most=1024), "Threads one question may use; 0: one a core.")
    min_free_bytes: int = key(
        GIB, BYTES, "Free disk below which pushes are refused. Reads go on, and pushes too once there is room."
    )
    clickhouse_url: str = key(
        "",
        TEXT,
        "A ClickHouse server as the store instead of the embedded engine, for example `http://ch:8123`. "
        "Needs `pip install 'sillok[cluster]'`.",
    )
    clickhouse_user: str = key("default", TEXT, "The user on that server.")
    clickhouse_password: str = key("", SECRET, "The user's password; better given in the environment.")
    clickhouse_cluster: str = key("", TEXT, "The cluster's name, when the server is part of one.")


@dataclass(frozen=True, slots=True)
class Docker:
    enabled: bool = key(True, BOOL, "Collect from containers. A socket that is not there is waited for.")
    host: str = key("unix:///var/run/docker.sock", TEXT, "Where Docker's API listens.")


@dataclass(frozen=True, slots=True)
class Agent:
    loki_url: str = key(
        "",
        TEXT,
        "Where to push, also as the variable `LOKI_URL`; `http://user:password@host` carries basic credentials. "
        "Needed by `sillok agent`; `sillok up` pushes to its own server unless it is set.",
    )
    tenant: str = key("", TEXT, "Sent as `X-Scope-OrgID`; empty: not sent.")
    bearer_token_file: str = key("", TEXT, "File that holds the bearer token to send.")
    ca_file: str = key("", TEXT, "PEM file with the authorities that sign the target's certificate.")
    host: str = key("", TEXT, "The label `host`; empty: this machine's name.")
    labels: LabelSet = key((), LABELS, "Labels for every line.")
    files: tuple[FileSet, ...] = key((FileSet(DEFAULT_FILES),), FILES, "Files to read: globs with `**` and `{a,b}`.")
    exclude: tuple[str, ...] = key((), TEXTS, "Globs of files not to read.")
    docker: Docker = section(Docker, "Containers.")
    listen: str = key("", ADDRESS, "Where the collector answers `/metrics`, `/ready` and `/status`; empty: nowhere.")
    spool_bytes: int = key(GIB, BYTES, "Disk for what is read and not yet stored. Full: the sources wait.")
    batch_bytes: int = key(MIB, BYTES, "Bytes of lines in one push.")
    batch_wait_ns: int = key(SECOND_NS // 2, DURATION, "Longest time a line waits for others before it is sent.")


@dataclass(frozen=True, slots=True)
class Log:
    level: str = key("info", one_of("debug", "info", "warn", "error"), "What Sillok says about itself.")


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, checked."""

    data: str = key("sillok-data", TEXT, "The folder that holds everything Sillok writes.")
    server: Server = section(Server, "The server's listeners and their bounds.")
    auth: Auth = section(Auth, "Tenants and credentials.")
    store: Store = section(Store, "The engine.")
    limits: Limits = section(
        Limits,
        "What one tenant may send, keep and ask, under "
        "[Loki's names](https://grafana.com/docs/loki/latest/configure/#limits_config) "
        "and, unless said otherwise, with Loki's defaults.",
        rows=LIMITS,
    )
    overrides: tuple[Override, ...] = key((), OVERRIDES, "Limits that are different for one tenant.")
    agent: Agent = section(Agent, "The collector.")
    log: Log = section(Log, "Sillok's own log, on standard error.")

    def limits_of(self, tenant: str) -> Limits:
        """The limits of one tenant."""
        for override in self.overrides:
            if override.tenant == tenant:
                return limits_from(dict(override.values), self.limits)
        return self.limits


KEYS: Mapping[str, Key] = {item.path: item for item in keys.keys_of(Settings) if isinstance(item, Key)}
SECTIONS: Mapping[str, Section] = {item.path: item for item in keys.keys_of(Settings) if isinstance(item, Section)}
BY_VARIABLE: Mapping[str, Key] = {item.environment_name: item for item in KEYS.values()}


@dataclass(frozen=True, slots=True)
class Assignment:
    """One layer says: this key has this value."""

    path: str
    node: Node


@dataclass(frozen=True, slots=True)
class Effective:
    """Settings, and for each key that was set the place that set it."""

    settings: Settings
    places: Mapping[str, Place] = field(default_factory=dict)


def load(
    text: str | None = None,
    filename: str = "sillok.yaml",
    *,
    below: Sequence[Assignment] = (),
    variables: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    flags: Sequence[Assignment] = (),
) -> Effective:
    """The settings of a file's text with the environment and flags on top.

    `below` lies under the file (what Loki's file says). `overrides` are `KEY=VALUE` texts of `--set`,
    `flags` are assignments by flags of their own.

    Raises:
        ConfigError: something is unknown or does not fit; the text has a line for each such thing.
    """
    problems: list[str] = []
    layers = [*below]
    if text is not None:
        layers += _from_document(document.read(text, filename), problems)
    layers += _from_environment(variables or {}, problems)
    layers += _from_overrides(overrides, problems)
    layers += flags
    values, places = _parse(layers, problems)
    problems += _check_together(values, places)
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return Effective(keys.build(Settings, values), places)


def assignment(path: str, text: str, place: Place) -> Assignment:
    """What a flag of its own says about a key."""
    return Assignment(path, KEYS[path].kind.from_text(text, place))


def credentials_in(text: str, filename: str) -> tuple[CredentialEntry, ...]:
    """The entries of a credentials file.

    Raises:
        ConfigError: it is not one.
    """
    root = document.read(text, filename)
    unknown = [name for name, _ in root.pairs if name.text != "credentials"]
    if unknown:
        raise ConfigError(f"{unknown[0].place}: `{unknown[0].text}`: unknown key; this file has one, `credentials`")
    node = root.get("credentials")
    try:
        return () if node is None else tuple(CREDENTIALS.parse(node))
    except Unfit as unfit:
        raise ConfigError(f"{unfit.place or filename}: `credentials`: {unfit}") from None


def nearest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """`; did you mean …?` when something known is near, else nothing."""
    known = list(known)
    section_path, _, last = name.rpartition(".")
    beside = {path.rpartition(".")[2]: path for path in known if path.rpartition(".")[0] == section_path}
    found = [beside[word] for word in difflib.get_close_matches(last, beside, n=1, cutoff=likeness)]
    # The right word in the wrong section is the commonest mistake of all.
    found = found or [path for path in known if path.rpartition(".")[2] == last]
    found = found or difflib.get_close_matches(name, known, n=1, cutoff=max(likeness, 0.75))
    return f"; did you mean `{found[0]}`?" if found else ""


def _from_document(root: MappingNode, problems: list[str], prefix: str = "") -> list[Assignment]:
    found: list[Assignment] = []
    for name, node in root.pairs:
        path = prefix + name.text
        if path in KEYS:
            found.append(Assignment(path, node))
        elif path not in SECTIONS:
            problems.append(f"{name.place}: `{path}`: unknown key{nearest(path, [*KEYS, *SECTIONS])}{_hint(path)}")
        elif isinstance(node, MappingNode):
            found += _from_document(node, problems, path + ".")
        elif not (isinstance(node, Scalar) and node.is_null):
            problems.append(f"{node.place}: `{path}`: expected keys below it, found {document.describe(node)}")
    return found


_LOKI_SECTIONS = ("auth_enabled", "limits_config", "schema_config", "common", "ingester", "storage_config")


def _hint(path: str) -> str:
    if path in _LOKI_SECTIONS:
        return " (a key of Loki's configuration: give that file with -config.file)"
    return ""


def _from_environment(variables: Mapping[str, str], problems: list[str]) -> list[Assignment]:
    found: list[Assignment] = []
    if variables.get("LOKI_URL"):
        found.append(assignment("agent.loki_url", variables["LOKI_URL"], "environment variable LOKI_URL"))
    for name in sorted(variables):
        place = f"environment variable {name}"
        if name in BY_VARIABLE:
            found += _taken(BY_VARIABLE[name], variables[name], place, problems)
        elif _is_meant_for_us(name):
            problems.append(f"{place}: no key has this name{nearest(name, BY_VARIABLE)}")
    return found


def _is_meant_for_us(name: str) -> bool:
    sections = (f"{ENVIRONMENT_PREFIX}{path.replace('.', '_').upper()}_" for path in SECTIONS)
    return name.startswith(tuple(sections)) and not _FOREIGN_VARIABLE.search(name)


def _from_overrides(overrides: Sequence[str], problems: list[str]) -> list[Assignment]:
    found: list[Assignment] = []
    for override in overrides:
        path, equals, text = override.partition("=")
        path = path.strip()
        if not equals:
            problems.append(f"--set {override}: expected KEY=VALUE, for example --set limits.retention_period=14d")
        elif path in KEYS:
            found += _taken(KEYS[path], text, f"--set {path}", problems)
        else:
            problems.append(f"--set {path}: unknown key{nearest(path, KEYS)}")
    return found


def _taken(item: Key, text: str, place: Place, problems: list[str]) -> Iterator[Assignment]:
    try:
        yield Assignment(item.path, item.kind.from_text(text, place))
    except Unfit as unfit:
        problems.append(f"{place}: `{item.path}`: {unfit}")
    except ConfigError as error:
        problems.append(str(error))


def _parse(layers: Sequence[Assignment], problems: list[str]) -> tuple[dict[str, Any], dict[str, Place]]:
    values: dict[str, Any] = {}
    places: dict[str, Place] = {}
    for layer in layers:
        if isinstance(layer.node, Scalar) and layer.node.is_null:
            continue  # `key:` with nothing behind it leaves the key alone, as in Loki
        try:
            values[layer.path] = KEYS[layer.path].kind.parse(layer.node)
            places[layer.path] = layer.node.place
        except Unfit as unfit:
            problems.append(f"{unfit.place or layer.node.place}: `{layer.path}`: {unfit}")
    return values, places


def _check_together(values: Mapping[str, Any], places: Mapping[str, Place]) -> Iterator[str]:
    """What only shows when several keys are looked at."""
    files = ("server.tls.cert_file", "server.tls.key_file")
    given = [path for path in files if values.get(path)]
    if len(given) == 1:
        missing = next(path for path in files if path not in given)
        yield f"{places[given[0]]}: `{given[0]}`: `{missing}` is missing; TLS needs both files"
    if values.get("server.listen") == ():
        yield f"{places['server.listen']}: `server.listen`: at least one address is needed"
    if "auth.default_tenant" in values:
        try:
            check_tenant(values["auth.default_tenant"])
        except BadRequest as error:
            yield f"{places['auth.default_tenant']}: `auth.default_tenant`: {error}"
