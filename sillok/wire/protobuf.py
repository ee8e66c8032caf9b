"""Protobuf message classes from tables in the code: no protoc, no generated files.

A schema is data: message name → fields. Each schema gets a descriptor pool of its own, so that no
other library's registration of the same message can collide with ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    "bytes": _Field.TYPE_BYTES,
    "string": _Field.TYPE_STRING,
    "bool": _Field.TYPE_BOOL,
    "double": _Field.TYPE_DOUBLE,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "fixed32": _Field.TYPE_FIXED32,
    "fixed64": _Field.TYPE_FIXED64,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind` is a scalar type of protobuf, or the name of a message of the same schema."""

    name: str
    number: int
    kind: str
    repeated: bool = False
    oneof: str | None = None


def message_classes(package: str, messages: Mapping[str, Sequence[Field]]) -> dict[str, Any]:
    """Message classes by name. Fields have presence (proto2), so that 0 and absent can be told apart."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for message, fields in messages.items():
        _add_message(file, message, fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _add_message(file: descriptor_pb2.FileDescriptorProto, name: str, fields: Sequence[Field]) -> None:
    message = file.message_type.add(name=name)
    oneofs: dict[str, int] = {}
    for field in fields:
        entry = message.field.add(
            name=field.name,
            number=field.number,
            label=_Field.LABEL_REPEATED if field.repeated else _Field.LABEL_OPTIONAL,
        )
        if field.kind in _KINDS:
            entry.type = _KINDS[field.kind]
        else:
            entry.type = _Field.TYPE_MESSAGE
            entry.type_name = f".{file.package}.{field.kind}"
        if field.oneof is None:
            continue
        if field.oneof not in oneofs:
            oneofs[field.oneof] = len(oneofs)
            message.oneof_decl.add(name=field.oneof)
        entry.oneof_index = oneofs[field.oneof]
