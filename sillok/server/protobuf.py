"""The two wire forms of protobuf that our answers need, by hand."""

from __future__ import annotations


def message(field: int, content: bytes) -> bytes:
    """A length-delimited field: a string or a message."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    """A non-negative integer field."""
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
