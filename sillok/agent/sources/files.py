"""All files of the configuration: found by glob, looked at, one `FollowedFile` a path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sillok.agent.batch import Batch
from sillok.agent.clock import LineClock
from sillok.agent.labels import StreamLabels, service_of_path
from sillok.agent.settings import FileSource
from sillok.agent.sources.file import FollowedFile, Surroundings
from sillok.agent.sources.formats import PlainLines
from sillok.agent.sources.globs import MAX_FILES, Glob
from sillok.agent.sources.rotation import is_rotation

DISCOVER_S = 1.0
SCAN_S = 5.0
BUSY_SHARE = 20  # Looking for files takes at most one part in so many of the time.
FORGET_S = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    source: FileSource
    globs: tuple[Glob, ...]
    excluded: tuple[Glob, ...]

    def wants(self, path: str) -> bool:
        return any(glob.matches(path) for glob in self.globs) and not any(glob.matches(path) for glob in self.excluded)


@dataclass(slots=True)
class Files:
    """`own` are folders of the collector itself: its spool must never be a source."""

    sources: Sequence[FileSource]
    host: str
    clock: LineClock
    around: Surroundings
    own: tuple[str, ...] = ()
    followed: dict[str, FollowedFile] = field(default_factory=dict)
    _wanted: list[_Wanted] = field(default_factory=list)
    _next_discovery: float = 0.0
    _next_scan: float = 0.0
    _rotated: set[str] = field(default_factory=set)
    _ended: list[str] = field(default_factory=list)
    _is_first: bool = True

    def __post_init__(self) -> None:
        for source in self.sources:
            globs = tuple(Glob(pattern) for pattern in source.globs)
            self._wanted.append(_Wanted(source, globs, tuple(Glob(pattern) for pattern in source.exclude)))

    def look(self, batch: Batch) -> None:
        """Find new files and new rotations where it is time to, and see which files grew."""
        monotonic = self.around.monotonic
        started = monotonic()
        if started >= self._next_discovery:
            self._discover(batch)
            ended = monotonic()
            self._next_discovery = ended + max(DISCOVER_S, (ended - started) * BUSY_SHARE)
        for path, file in self.followed.items():
            if file.poll() or file.needs_scan:
                self._rotated.add(os.path.dirname(path))  # noqa: PTH120 - plain text
        started = monotonic()
        is_due = started >= self._next_scan
        if is_due or self._rotated:
            self._scan(None if is_due else self._rotated)
            self._rotated.clear()
            ended = monotonic()
            if is_due:
                self._next_scan = ended + max(SCAN_S, (ended - started) * BUSY_SHARE)

    def ended(self) -> list[str]:
        ended, self._ended = self._ended, []
        return ended

    def each(self) -> Iterable[FollowedFile]:
        return self.followed.values()

    def close(self) -> None:
        for file in self.followed.values():
            file.close()

    def _discover(self, batch: Batch) -> None:
        if self._is_first:
            self._restore()
            self._is_first = False
        found: dict[str, _Wanted] = {}
        for wanted in self._wanted:
            for glob in wanted.globs:
                for path in glob.files(self._denied):
                    if path not in found and self._is_ours(path, wanted):
                        found[path] = wanted
                        if len(found) > MAX_FILES:
                            text = f"{glob.pattern} finds more than {MAX_FILES} files: the rest is not read"
                            self.around.notices.state(f"many:{glob.pattern}", text)
                            break
        # Short names first: `x.log` is there before `x.log.1`, which may be its rotation.
        for path in sorted(found.keys() - self.followed.keys(), key=lambda path: (len(path), path)):
            self._consider(path, found[path])
        self._forget_gone(batch)

    def _restore(self) -> None:
        """Paths that have unread bytes somewhere, though nothing stands behind them now."""
        for position in list(self.around.positions().values()):
            path = position.get("path")
            if path is None or position.get("is_finished", True) or path in self.followed:
                continue
            wanted = next((wanted for wanted in self._wanted if wanted.wants(path)), None)
            if wanted is not None:
                self._follow(path, wanted)

    def _is_ours(self, path: str, wanted: _Wanted) -> bool:
        if any(path.startswith(folder) for folder in self.own) or any(glob.matches(path) for glob in wanted.excluded):
            return False
        try:
            path.encode()
        except UnicodeEncodeError:
            self.around.notices.state(f"name:{path!r}", f"{path!r} is not read: its name is not UTF-8", repeats=False)
            return False
        return True

    def _consider(self, path: str, wanted: _Wanted) -> None:
        try:
            status = os.stat(path)  # noqa: PTH116 - plain text
        except OSError:
            return
        folder, name = os.path.split(path)
        for other in self._neighbours(folder):
            if other.owns(status.st_ino):
                other.meet(path, status)  # Renamed within its folder.
                return
            own = os.path.basename(other.path)  # noqa: PTH119 - plain text
            if name.startswith(own) and is_rotation(name, own):
                return  # The scan of `other` decides.
        self._follow(path, wanted)

    def _neighbours(self, folder: str) -> Iterable[FollowedFile]:
        return [file for path, file in self.followed.items() if os.path.dirname(path) == folder]  # noqa: PTH120

    def _follow(self, path: str, wanted: _Wanted) -> None:
        source = wanted.source
        labels = StreamLabels(
            {
                "service": source.service or service_of_path(path),
                "host": self.host,
                "job": source.job,
                "filename": path,
            },
            source.labels,
        )
        lines = PlainLines(path, labels, self.clock)

        def is_another(other: str) -> bool:
            return other in self.followed or (wanted.wants(other) and not other.startswith(path))

        self.followed[path] = FollowedFile(path, path, lines, self.around, wanted.wants, is_another)

    def _scan(self, folders: set[str] | None) -> None:
        by_folder: dict[str, list[FollowedFile]] = {}
        for path, file in self.followed.items():
            folder = os.path.dirname(path)  # noqa: PTH120
            if folders is None or folder in folders:
                by_folder.setdefault(folder, []).append(file)
        for folder, files in by_folder.items():
            names = list_names(folder, self._denied)
            for file in files:
                file.scan(names)

    def _forget_gone(self, batch: Batch) -> None:
        now = self.around.monotonic()
        for path, file in list(self.followed.items()):
            if file.absent_since is not None and file.is_drained and now - file.absent_since > FORGET_S:
                file.forget(batch)
                del self.followed[path]
                self._ended.append(file.source)

    def _denied(self, folder: str, error: OSError) -> None:
        self.around.notices.state(
            f"unreadable:{folder}", f"{folder} cannot be read: {error.strerror or error}", repeats=False
        )


def list_names(folder: str, denied: Callable[[str, OSError], None]) -> list[str]:
    """The sorted names in `folder`; none when it is gone."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are what is asked for
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        denied(folder, error)
        return []
