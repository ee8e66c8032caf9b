"""An existing `loki-config.yaml`: what has a meaning here becomes settings, everything else is named once.

Source:  https://grafana.com/docs/loki/latest/configure/
Differs: limits that the file does not set keep Sillok's defaults (late lines are kept, no rate limits);
         retention alone follows Loki there, because what is deleted cannot be kept afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sillok.config import document
from sillok.config.document import Items, Node, Place, Scalar
from sillok.config.document import Mapping as MappingNode
from sillok.config.kinds import BOOL, DURATION, Unfit
from sillok.config.limits import BY_NAME
from sillok.config.sillok import KEYS, Assignment, nearest
from sillok.errors import ConfigError

DEFAULT_PORT = "3100"

# Keys that say the same here under another name.
_SAME: Mapping[str, str] = {
    "auth_enabled": "auth.enabled",
    "server.log_level": "log.level",
    "server.http_tls_config.cert_file": "server.tls.cert_file",
    "server.http_tls_config.key_file": "server.tls.key_file",
} | {f"limits_config.{name}": f"limits.{name}" for name in BY_NAME}

# Keys that are read together with others.
_READ = (
    "server.http_listen_port",
    "server.http_listen_address",
    "compactor.retention_enabled",
    "table_manager.retention_deletes_enabled",
    "table_manager.retention_period",
)

# Why a part of Loki's file has no meaning here; the longest beginning that fits is told.
_WHY: Mapping[str, str] = {
    "target": "one process does everything",
    "server.grpc": "there is no gRPC interface",
    "common": "there is one process and one data folder",
    "common.path_prefix": "the data folder is `data` (--data)",
    "common.storage": "lines are stored in the data folder (--data)",
    "schema_config": "there is one schema, and it upgrades itself",
    "storage_config": "lines are stored in the data folder (--data)",
    "chunk_store_config": "there are no chunks",
    "ingester": "lines are on disk before a push is answered",
    "ingester_client": "there is one process",
    "distributor": "there is one process",
    "querier": "there is one process",
    "query_range": "queries are answered in one process, and answers are not cached",
    "query_scheduler": "there is one process",
    "frontend": "there is one process",
    "frontend_worker": "there is one process",
    "index_gateway": "there is one process",
    "memberlist": "there is one process",
    "compactor": "the engine merges by itself",
    "table_manager": "the engine keeps its tables by itself",
    "ruler": "rules are not evaluated yet",
    "limits_config.ruler": "rules are not evaluated yet",
    "limits_config.per_stream_rate_limit": "there is no limit for a single stream",
    "limits_config.split_queries_by_interval": "queries are not split",
    "runtime_config": "limits of single tenants are under `overrides` in sillok.yaml",
    "analytics": "Sillok never reports anything to anybody",
    "tracing": "Sillok sends no traces",
    "bloom_build": "there are no bloom builders",
    "pattern_ingester": "patterns are not extracted while lines come in",
}


@dataclass(frozen=True, slots=True)
class ExistingLoki:
    """What a file of Loki's says about our keys, and what has to be said about the file."""

    assignments: Sequence[Assignment]
    warnings: Sequence[str]


@dataclass(slots=True)
class _Reading:
    assignments: list[Assignment] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    read: dict[str, Node] = field(default_factory=dict)


def read_loki(text: str, filename: str, *, variables: Mapping[str, str] | None = None) -> ExistingLoki:
    """Read Loki's configuration; `variables` replace `${NAME}` when Loki was told `-config.expand-env=true`.

    Raises:
        ConfigError: the file is not YAML, or a value that has a meaning here does not fit.
    """
    if variables is not None:
        text = document.expand_environment(text, dict(variables))
    root = document.read(text, filename)
    if root.get("server") is not None and any(
        root.get(name) is not None for name in ("data", "auth", "limits", "agent")
    ):
        raise ConfigError(f"{root.place}: this is Sillok's own configuration, not Loki's: give it with --config")
    reading = _Reading()
    for path, key, node in _leaves(root):
        _take(path, key, node, reading)
    _take_listen(reading, f"{filename}:1")
    _take_retention(reading, f"{filename}:1")
    _take_auth(reading, filename)
    _check(reading.assignments, text)
    return ExistingLoki(tuple(reading.assignments), tuple(reading.warnings))


def _leaves(root: MappingNode, prefix: str = "") -> Iterator[tuple[str, Scalar, Node]]:
    """Every setting with its full name; lists are one setting, empty mappings as well."""
    for key, node in root.pairs:
        path = prefix + key.text
        if isinstance(node, MappingNode) and node.pairs and path not in _SAME:
            yield from _leaves(node, path + ".")
        else:
            yield path, key, node


def _take(path: str, key: Scalar, node: Node, reading: _Reading) -> None:
    if path in _SAME:
        reading.assignments.append(Assignment(_SAME[path], node))
        reading.read[path] = node
    elif path in _READ:
        reading.read[path] = node
    elif not (isinstance(node, Scalar) and node.is_null):
        reading.warnings.append(f"{key.place}: `{path}` has no meaning here and is not used{_why(path)}")


def _why(path: str) -> str:
    beginnings = (
        beginning for beginning in _WHY if path == beginning or path.startswith((beginning + ".", beginning + "_"))
    )
    longest = max(beginnings, key=len, default="")
    if longest:
        return f": {_WHY[longest]}"
    # A misspelt name that would have had a meaning must not look like one that has none.
    return nearest(path, [*_SAME, *_READ], likeness=0.85)


def _take_listen(reading: _Reading, start: Place) -> None:
    port = reading.read.get("server.http_listen_port")
    address = reading.read.get("server.http_listen_address")
    host = address.text if isinstance(address, Scalar) and not address.is_null else ""
    place = next((node.place for node in (port, address) if node is not None), f"{start} (Loki's default address)")
    number = port.text if isinstance(port, Scalar) and not port.is_null else DEFAULT_PORT
    text = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
    reading.assignments.append(Assignment("server.listen", Items((Scalar(text, place),), place)))


def _take_retention(reading: _Reading, start: Place) -> None:
    """Loki deletes by one of two parts: the compactor, or the older table manager.

    T-07: `limits_config.retention_period` deletes also when `compactor.retention_enabled` is not written.
    Where it is written as false, Loki keeps everything, and so do we.
    """
    enabled = reading.read.get("compactor.retention_enabled")
    period = reading.read.get("limits_config.retention_period")
    if enabled is not None and not _parsed(BOOL.parse, enabled, "compactor.retention_enabled"):
        reading.assignments.append(Assignment("limits.retention_period", Scalar("0s", enabled.place)))
        if period is not None:
            reading.warnings.append(
                f"{period.place}: `limits_config.retention_period` is not used: "
                f"`compactor.retention_enabled` is false ({enabled.place}), so lines are kept for ever, as in Loki"
            )
        return
    if period is not None:
        return
    table_period = reading.read.get("table_manager.retention_period")
    deletes = reading.read.get("table_manager.retention_deletes_enabled")
    if table_period is not None and deletes is not None and _parsed(BOOL.parse, deletes, "retention_deletes_enabled"):
        _parsed(DURATION.parse, table_period, "table_manager.retention_period")
        reading.assignments.append(Assignment("limits.retention_period", table_period))
    else:
        place = f"{start} (Loki's default)"
        reading.assignments.append(Assignment("limits.retention_period", Scalar("0s", place)))
        reading.warnings.append(
            f"{start}: the file sets no `retention_period`: lines are kept for ever, as in Loki; "
            "set `limits_config.retention_period: 336h` to keep two weeks"
        )


def _take_auth(reading: _Reading, filename: str) -> None:
    if "auth_enabled" in reading.read:
        return
    reading.assignments.append(Assignment("auth.enabled", Scalar("true", f"{filename}:1 (Loki's default)")))
    reading.warnings.append(
        f"{filename}:1: the file does not set `auth_enabled`, and Loki's default is true: every request needs "
        "X-Scope-OrgID; write `auth_enabled: false` for one tenant"
    )


def _parsed(parse: object, node: Node, path: str) -> object:
    try:
        return parse(node)  # type: ignore[operator]
    except Unfit as unfit:
        raise ConfigError(f"{unfit.place or node.place}: `{path}`: {unfit}") from None


def _check(assignments: Sequence[Assignment], text: str) -> None:
    """Complain under Loki's names, before the values are laid under other layers."""
    loki_names = {ours: theirs for theirs, ours in _SAME.items()}
    problems: list[str] = []
    for assignment in assignments:
        node = assignment.node
        if isinstance(node, Scalar) and node.is_null:
            continue
        try:
            KEYS[assignment.path].kind.parse(node)
        except Unfit as unfit:
            name = loki_names.get(assignment.path, assignment.path)
            hint = "; was it meant to be used with -config.expand-env=true?" if "${" in str(unfit) else ""
            problems.append(f"{unfit.place or node.place}: `{name}`: {unfit}{hint}")
    if problems:
        raise ConfigError("\n".join(problems))
