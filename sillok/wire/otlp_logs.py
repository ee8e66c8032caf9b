"""OTLP logs: what OpenTelemetry's exporters and the Collector send, as the entries Loki makes of them.

Resource attributes of INDEX_LABELS become labels, everything else structured metadata.

Source:  Loki pkg/loghttp/push/otlp.go, otlp_config.go `DefaultOTLPConfig`
Differs: a record without any time gets the time of its commit, not of its parsing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from sillok.errors import PushSyntaxError
from sillok.model.labels import LabelSet
from sillok.model.push import NO_TIME, EntryColumns, Pushed, PushedStream
from sillok.wire import otlp_json, otlp_protobuf
from sillok.wire.otlp_records import Record, ResourceLogs, Scope
from sillok.wire.otlp_values import flattened

JSON = "application/json"
PROTOBUF = "application/x-protobuf"

_READERS = {JSON: otlp_json.read, PROTOBUF: otlp_protobuf.read}

INDEX_LABELS = frozenset(
    {
        "service.name",
        "service.namespace",
        "service.instance.id",
        "deployment.environment",
        "deployment.environment.name",
        "cloud.region",
        "cloud.availability_zone",
        "k8s.cluster.name",
        "k8s.namespace.name",
        "k8s.pod.name",
        "k8s.container.name",
        "container.name",
        "k8s.replicaset.name",
        "k8s.deployment.name",
        "k8s.statefulset.name",
        "k8s.daemonset.name",
        "k8s.cronjob.name",
        "k8s.job.name",
    }
)

MAX_TIME_NS = (1 << 63) - 1

_Pairs: TypeAlias = tuple[tuple[str, str], ...]


def decode(body: bytes, *, content_type: str) -> Pushed:
    """The streams of an export request; none when it holds no record.

    Raises:
        PushSyntaxError: the body is not an export request of that content type.
    """
    read = _READERS.get(content_type)
    if read is None:
        raise PushSyntaxError(f"content type: {content_type} is not supported")
    streams: dict[LabelSet, _Entries] = {}
    for resource in read(body):
        _take(resource, streams)
    pushed = (PushedStream(labels, entries.columns()) for labels, entries in streams.items())
    return Pushed(tuple(pushed), len(body))


@dataclass(frozen=True, slots=True)
class _Entries:
    times: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    metadata: list[_Pairs] = field(default_factory=list)

    def add(self, record: Record, shared: _Pairs) -> None:
        time_ns = record.time_ns or record.observed_ns
        self.times.append(min(time_ns, MAX_TIME_NS) if time_ns else NO_TIME)
        self.lines.append(record.line)
        self.metadata.append((*_metadata_of_record(record), *shared))

    def columns(self) -> EntryColumns:
        return EntryColumns(self.times, self.lines, self.metadata)


def _take(resource: ResourceLogs, streams: dict[LabelSet, _Entries]) -> None:
    attributes = resource.attributes.items()
    labels = tuple(dict(flattened({key: value for key, value in attributes if key in INDEX_LABELS})).items())
    of_resource = tuple(flattened({key: value for key, value in attributes if key not in INDEX_LABELS}))
    for logs in resource.scopes:
        shared = (*of_resource, *_metadata_of_scope(logs.scope))
        for record in logs.records:
            streams.setdefault(labels, _Entries()).add(record, shared)


def _metadata_of_scope(scope: Scope) -> Iterator[tuple[str, str]]:
    yield from flattened(scope.attributes)
    if scope.name:
        yield "scope_name", scope.name
    if scope.version:
        yield "scope_version", scope.version
    if scope.dropped_attributes:
        yield "scope_dropped_attributes_count", str(scope.dropped_attributes)


def _metadata_of_record(record: Record) -> Iterator[tuple[str, str]]:
    yield from flattened(record.attributes)
    if record.time_ns and record.observed_ns:
        yield "observed_timestamp", str(record.observed_ns)
    if record.severity_number:
        yield "severity_number", str(record.severity_number)
    if record.severity_text:
        yield "severity_text", record.severity_text
    if record.dropped_attributes:
        yield "dropped_attributes_count", str(record.dropped_attributes)
    if record.flags:
        yield "flags", str(record.flags)
    if any(record.trace_id):
        yield "trace_id", record.trace_id.hex()
    if any(record.span_id):
        yield "span_id", record.span_id.hex()
    if record.event_name:
        yield "event_name", record.event_name
