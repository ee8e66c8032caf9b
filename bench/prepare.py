"""Make the bodies of the pushes beforehand, so that a measurement sends bytes and does nothing else.

A body is Loki's push request, protobuf in snappy, as promtail and most collectors send it. Written by
hand here: the bench shares no code with what it measures.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cramjam

from bench import data
from bench.data import SECOND_NS, Shape

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench"
FRESH_S = 12 * 3600  # the lines lie in the past already; older than that they leave the range people ask for


@dataclass(frozen=True, slots=True)
class Corpus:
    """Prepared bodies: `index[i]` is (file, offset, length) of batch i."""

    shape: Shape
    folder: Path
    raw_bytes: int
    index: tuple[tuple[int, int, int], ...]


def corpus(*, lines: int, hosts: int) -> Corpus:
    """The prepared bodies; made now unless they are there and fresh."""
    folder = FOLDER / f"{lines}-{hosts}"
    made = load(folder)
    if made is not None and time.time_ns() - made.shape.end_ns < FRESH_S * SECOND_NS:
        return made
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.json").unlink(missing_ok=True)
    shape = Shape(lines=lines, hosts=hosts, end_ns=time.time_ns() // (60 * SECOND_NS) * 60 * SECOND_NS)
    workers = max(1, os.cpu_count() or 1)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        parts = pool.starmap(_write_part, [(shape, folder, part, workers) for part in range(workers)])
    entries = {
        batch: (part, offset, length) for part, (index, _) in enumerate(parts) for batch, offset, length in index
    }
    index = [entries[batch] for batch in range(shape.batches)]
    text = json.dumps({"shape": asdict(shape), "raw_bytes": sum(raw for _, raw in parts), "index": index})
    (folder / "corpus.json").write_text(text)
    made = load(folder)
    assert made is not None
    return made


def part_path(folder: Path, part: int) -> Path:
    return folder / f"part-{part}.bin"


def load(folder: Path) -> Corpus | None:
    try:
        read = json.loads((folder / "corpus.json").read_text())
    except (OSError, ValueError):
        return None
    index = tuple((part, offset, length) for part, offset, length in read["index"])
    return Corpus(shape=Shape(**read["shape"]), folder=folder, raw_bytes=read["raw_bytes"], index=index)


def _write_part(shape: Shape, folder: Path, part: int, parts: int) -> tuple[list[tuple[int, int, int]], int]:
    index, raw_bytes = [], 0
    with part_path(folder, part).open("wb") as file:
        for batch in range(part, shape.batches, parts):
            body, raw = encode(shape, batch)
            index.append((batch, file.tell(), len(body)))
            raw_bytes += raw
            file.write(body)
    return index, raw_bytes


def encode(shape: Shape, batch: int) -> tuple[bytes, int]:
    """The body of a batch, and the bytes of its lines."""
    host = data.host_of(shape, batch)
    entries: list[bytearray] = [bytearray() for _ in data.SERVICES]
    raw_bytes = 0
    for one in data.lines_of(shape, batch):
        line = one.text.encode()
        raw_bytes += len(line)
        seconds, nanos = divmod(one.time_ns, SECOND_NS)
        stamp = b"\x08" + _varint(seconds) + b"\x10" + _varint(nanos)
        entry = b"\x0a" + _varint(len(stamp)) + stamp + b"\x12" + _varint(len(line)) + line
        into = entries[one.service]
        into += b"\x12"
        into += _varint(len(entry))
        into += entry
    request = bytearray()
    for service, encoded in enumerate(entries):
        if encoded:
            pairs = ", ".join(f'{name}="{value}"' for name, value in sorted(data.labels(host, service).items()))
            labels = f"{{{pairs}}}".encode()
            request += b"\x0a" + _varint(len(labels) + len(_varint(len(labels))) + 1 + len(encoded))
            request += b"\x0a" + _varint(len(labels)) + labels + encoded
    return bytes(cramjam.snappy.compress_raw(bytes(request))), raw_bytes


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
