"""The folder of an embedded engine: its lock, the copy of its table definitions, what it says when it fails.

<folder>/lock            held by flock while a process has the folder open; holds its process id
<folder>/chdb/           the engine's own
<folder>/definitions/    a copy of the table definitions: a full disk can leave an empty one behind
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sillok.errors import StoreLocked, StoreUnavailable

_LOCK = "lock"
_DATA = "chdb"
_DEFINITIONS = "definitions"
_MAX_REASON_CHARS = 500


def data_folder(folder: Path) -> Path:
    return folder / _DATA


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class FolderLock:
    """The lock of a folder; the kernel lets it go when the process ends, however it ends."""

    fd: int

    def release(self) -> None:
        os.close(self.fd)


def lock(folder: Path) -> FolderLock:
    """Make the folder if need be, and lock it for this process.

    Raises:
        StoreLocked: another process has it.
        StoreUnavailable: it cannot be made or written.
    """
    try:
        data_folder(folder).mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"the data folder {folder} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise StoreLocked(
            f"the data folder {folder} is open in another process (process id {holder}); "
            "stop that one, or give this one another folder"
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return FolderLock(fd)


def keep_definitions(folder: Path) -> None:
    """Copy the table definitions that changed beside the data, each one whole and on disk before it counts."""
    for source in _definitions(data_folder(folder)):
        copy = folder / _DEFINITIONS / source.relative_to(data_folder(folder))
        content = source.read_bytes()
        if not content or (copy.is_file() and copy.read_bytes() == content):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        _write_durably(copy, content)


def repair_definitions(folder: Path) -> list[Path]:
    """Put back the definitions that a full disk left empty; without this the engine refuses the whole folder."""
    repaired = []
    for source in _definitions(data_folder(folder)):
        copy = folder / _DEFINITIONS / source.relative_to(data_folder(folder))
        if source.stat().st_size == 0 and copy.is_file():
            _write_durably(source, copy.read_bytes())
            repaired.append(source)
    return repaired


def _definitions(data: Path) -> Iterator[Path]:
    # metadata/ links to the definitions of each database below store/; follow the files, not the links.
    yield from (data / "metadata").glob("*.sql")
    yield from (data / "store").glob("*/*/*.sql")


def _write_durably(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


class Captured:
    """What was written to file descriptor 2 meanwhile."""

    text: str = ""


@contextmanager
def captured_stderr() -> Iterator[Captured]:
    """Catch what native code writes to file descriptor 2: chDB tells only there why a folder does not open."""
    captured = Captured()
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield captured
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            captured.text = file.read().decode(errors="replace")


def reason_in(text: str) -> str:
    """The engine's own sentence in what it wrote, without its stack."""
    for line in text.splitlines():
        if "Exception" in line:
            return line.strip()[:_MAX_REASON_CHARS]
    return text.strip()[:_MAX_REASON_CHARS]
