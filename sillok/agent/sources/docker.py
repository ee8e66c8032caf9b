"""Containers: found through Docker's API, read from their `json-file` logs, or else through the API.

The event loop talks to Docker (`DockerWatch`): it lists containers, hears of new, renamed and removed
ones, and follows logs through the API where the file cannot be read (another log driver, Docker Desktop,
a socket in a container without the folder). The collecting thread reads (`Containers`): a log file is a
followed file like any other, with Docker's rotation; a log from the API is a bounded queue.

Source: https://docs.docker.com/reference/api/engine/ (containers, logs, events)
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx

from sillok.agent.batch import Batch
from sillok.agent.clock import LineClock
from sillok.agent.labels import StreamLabels
from sillok.agent.settings import DockerSource
from sillok.agent.sources.epochs import Epoch, PlainBytes
from sillok.agent.sources.file import SIBLINGS, FollowedFile, Surroundings
from sillok.agent.sources.files import list_names
from sillok.agent.sources.formats import PlainLines
from sillok.agent.sources.fragments import Lines
from sillok.errors import ConfigError
from sillok.wire.docker_logs import Fragment, FrameDecoder, NotDockerLog, TerminalDecoder, decode_json

RECONNECT_S = 2.0
MAX_RECONNECT_S = 30.0
ANSWER_S = 10.0
SCAN_S = 5.0
QUEUE_BYTES = 1024 * 1024  # Of one container; beyond it the API is not read on.
QUEUE_WAIT_S = 0.05
ANCHOR_NS = 500_000_000  # stdout and stderr of a container may be out of step by less than this.
EXPECT_S = 10.0  # How long the log file of a container that is being created is waited for …
EXPECT_STEP_S = 0.01  # … looking this often: a short-lived container with --rm takes its log with it.
API_LOG = "container:"  # Position ids of logs read through the API: this and the container's id.

_EVENTS = {"type": ["container"], "event": ["create", "start", "destroy", "rename"]}
_SERVICE_LABELS = ("com.docker.compose.service", "com.docker.swarm.service.name", "io.podman.compose.service")
_JSON_LOG = re.compile(r"/([0-9a-f]{64})/\1-json\.log\Z")
_FILE_DRIVER = "json-file"


@dataclass(frozen=True, slots=True)
class Container:
    """What Docker says of a container. `log_path` is its `json-file` log when that can be read here."""

    id: str
    name: str
    service: str
    log_path: str | None = None
    has_terminal: bool = False
    opened: PlainBytes | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Added:
    container: Container


@dataclass(frozen=True, slots=True)
class Renamed:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Gone:
    id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """All containers there are now; what is known of others may be forgotten."""

    ids: frozenset[str]


News: TypeAlias = Added | Renamed | Gone | Listed


@dataclass(slots=True)
class JsonLines:
    """The format of a `json-file` log."""

    lines: Lines
    plain: PlainLines
    _epoch: str | None = None
    _turn: int = 0

    def take(self, lines: list[bytes], offset: int, epoch: Epoch, batch: Batch) -> None:
        for line in lines:
            try:
                self.lines.add(decode_json(line), offset, batch)
            except NotDockerLog:
                # A line that Docker did not finish (power loss) is kept as it stands.
                self.plain.take([line], offset, epoch, batch)
            offset += len(line) + 1
        self._keep(epoch)

    def take_part(self, piece: bytes, offset: int, epoch: Epoch, batch: Batch, *, is_last: bool) -> None:
        self.plain.take_part(piece, offset, epoch, batch, is_last=is_last)

    def finish(self, epoch: Epoch, batch: Batch) -> None:
        """A rotated file is at its end. A line that goes on in the next file stays open."""

    def resume(self, epochs: list[Epoch]) -> None:
        """Take up the line that was open when the last of `epochs` was read."""
        last = max(epochs, key=lambda epoch: int(epoch.extra.get("turn", 0)), default=None)
        if last is not None:
            self._turn = int(last.extra.get("turn", 0))
            self.lines.restore(last.extra.get("open", {}))

    def end(self, batch: Batch) -> None:
        """The container is gone."""
        self.lines.finish(batch)

    def _keep(self, epoch: Epoch) -> None:
        """Note what is open, and that this epoch was read after the ones before."""
        if self._epoch != epoch.id:
            self._epoch = epoch.id
            self._turn += 1
        epoch.extra = {"turn": self._turn}
        opened = self.lines.as_json()
        if opened:
            epoch.extra["open"] = opened


class Place:
    """How far a log was read through the API, in words the API understands.

    Times are no identity: several fragments may share one, and two streams may be slightly out of step.
    The order of the log is fixed, though. So the place is an instant a little back (`since` of the API) and
    the number of fragments from there on that were read.
    """

    def __init__(self, since_ns: int = 0, skip: int = 0, newest_ns: int = 0) -> None:
        self.since_ns = since_ns
        self.skip = skip
        self._newest_ns = newest_ns
        # Fragments up to here were passed by an earlier process: `_recent` does not have them.
        self._floor_ns = newest_ns
        self._recent: deque[int] = deque()

    def passed(self, time_ns: int) -> None:
        """One more fragment was read."""
        self._recent.append(time_ns)
        if time_ns >= self.since_ns:
            self.skip += 1
        self._newest_ns = max(self._newest_ns, time_ns)
        since_ns = self._newest_ns - ANCHOR_NS
        if since_ns - self.since_ns > ANCHOR_NS and since_ns > self._floor_ns:
            self._recent = deque(time_ns for time_ns in self._recent if time_ns >= since_ns)
            self.since_ns, self.skip = since_ns, len(self._recent)

    def as_json(self) -> dict[str, int]:
        return {"since_ns": self.since_ns, "skip": self.skip, "newest_ns": self._newest_ns}


@dataclass(slots=True)
class ApiLog:
    """The log of a container as it comes through the API. Filled by the event loop, read by the collector."""

    id: str
    source: str
    lines: Lines
    place: Place
    offset: int = 0
    _put: int = 0
    _passed: int = 0
    _queue: deque[Fragment] = field(default_factory=deque)
    _queued_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_more(self) -> bool:
        return bool(self._queue)

    @property
    def is_full(self) -> bool:
        return self._queued_bytes >= QUEUE_BYTES

    @property
    def is_passed(self) -> bool:
        """All that was put in is counted in `place`."""
        return self._put == self._passed

    def put(self, fragments: list[Fragment]) -> None:
        with self._lock:
            self._put += len(fragments)
            self._queue.extend(fragments)
            self._queued_bytes += sum(len(fragment.text) + 64 for fragment in fragments)

    def read(self, batch: Batch, budget: int) -> None:
        taken = 0
        while taken < budget:
            with self._lock:
                if not self._queue:
                    break
                fragment = self._queue.popleft()
                self._queued_bytes -= len(fragment.text) + 64
            self.lines.add(fragment, self.offset, batch)
            self.place.passed(fragment.time_ns)
            self._passed += 1
            self.offset += len(fragment.text) + fragment.ends_line
            taken += len(fragment.text) + 64
        batch.move(API_LOG + self.id, self.as_json())

    def settle(self, batch: Batch) -> None:
        pass

    def as_json(self) -> dict[str, Any]:
        return {"place": self.place.as_json(), "read": self.offset, "open": self.lines.as_json()}

    def restore(self, kept: dict[str, Any]) -> None:
        self.place = Place(**kept["place"])
        self.offset = kept["read"]
        self.lines.restore(kept["open"])


@dataclass(slots=True)
class Containers:
    """The collecting thread's half: containers as sources. `news` comes from the event loop."""

    settings: DockerSource
    host: str
    clock: LineClock
    around: Surroundings
    news: queue.SimpleQueue[News] = field(default_factory=queue.SimpleQueue)
    _files: dict[str, FollowedFile] = field(default_factory=dict)
    logs: dict[str, ApiLog] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)
    _next_scan: float = 0.0
    _ended: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self._files) + len(self.logs)

    def look(self, batch: Batch) -> None:
        while not self.news.empty():
            self._hear(self.news.get(), batch)
        now = self.around.monotonic()
        is_scan_due = now >= self._next_scan
        if is_scan_due:
            self._next_scan = now + SCAN_S
        for file in list(self._files.values()):
            if file.poll() or file.needs_scan or is_scan_due:
                file.scan(list_names(os.path.dirname(file.path), self._denied))  # noqa: PTH120 - plain text
        self._end_gone(batch)

    def ended(self) -> list[str]:
        ended, self._ended = self._ended, []
        return ended

    def each(self) -> Iterable[FollowedFile | ApiLog]:
        return [*self._files.values(), *self.logs.values()]

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def api_log(self, container: Container) -> ApiLog:
        """The queue for a container that the event loop will follow; where it was left, if it was seen before."""
        source = f"container:{container.name}"
        log = ApiLog(container.id, source, Lines(source, self._labels(container.name, container.service)), Place())
        kept = self.around.positions().get(API_LOG + container.id)
        if kept is not None:
            log.restore(kept)
        return log

    def _hear(self, news: News, batch: Batch) -> None:
        match news:
            case Added(container):
                self._add(container)
            case Renamed(identity, name):
                self._rename(identity, name)
            case Gone(identity):
                self._gone.add(identity)
            case Listed(ids):
                self._gone.update((self._files.keys() | self.logs.keys()) - ids)
                self._forget_unknown(ids, batch)

    def _add(self, container: Container) -> None:
        self._gone.discard(container.id)
        if container.log_path is None or container.id in self._files:
            if container.opened is not None:
                container.opened.close()
            return
        source = f"container:{container.name}"
        labels = self._labels(container.name, container.service)
        lines = JsonLines(Lines(source, labels), PlainLines(source, labels, self.clock))
        file = FollowedFile(container.log_path, source, lines, self.around, lambda path: True, lambda path: False)
        if container.opened is not None:
            file.adopt(container.opened)
        self._files[container.id] = file

    def _rename(self, identity: str, name: str) -> None:
        """From now on. What was read under the old name stays there; a compose service keeps its name."""
        file, log = self._files.get(identity), self.logs.get(identity)
        if file is not None and isinstance(file.format, JsonLines):
            labels = file.format.lines.labels.renamed(name)
            file.format.lines.labels = file.format.plain.labels = labels
        if log is not None:
            log.lines.labels = log.lines.labels.renamed(name)

    def _end_gone(self, batch: Batch) -> None:
        for identity in list(self._gone):
            file, log = self._files.get(identity), self.logs.get(identity)
            if file is not None and file.is_drained:
                if isinstance(file.format, JsonLines):
                    file.format.end(batch)
                file.forget(batch)
                self._ended.append(file.source)
                del self._files[identity]
            if log is not None and not log.has_more:
                log.lines.finish(batch)
                batch.forget(API_LOG + identity)
                self._ended.append(log.source)
                del self.logs[identity]
            if identity not in self._files and identity not in self.logs:
                self._gone.discard(identity)

    def _forget_unknown(self, ids: frozenset[str], batch: Batch) -> None:
        """Containers that were removed while nobody looked: their logs went with them."""
        for identity, position in self.around.positions().items():
            path = identity.removeprefix(SIBLINGS) if identity.startswith(SIBLINGS) else position.get("path", "")
            found = _JSON_LOG.search(path)
            owner = found[1] if found else identity.removeprefix(API_LOG) if identity.startswith(API_LOG) else None
            if owner is not None and owner not in ids and owner not in self._files and owner not in self.logs:
                batch.forget(identity)

    def _labels(self, name: str, service: str) -> StreamLabels:
        found = {"service": service, "container": name, "host": self.host, "job": self.settings.job}
        return StreamLabels(found, self.settings.labels)

    def _denied(self, folder: str, error: OSError) -> None:
        self.around.notices.state(f"unreadable:{folder}", f"{folder} cannot be read: {error.strerror}", repeats=False)


class DockerWatch:
    """The event loop's half: `run` until cancelled, reconnecting for ever."""

    def __init__(self, settings: DockerSource, containers: Containers, around: Surroundings) -> None:
        self._containers = containers
        self._notices = around.notices
        self._base, self._socket = _address(settings.host)
        self._following: dict[str, asyncio.Task[None]] = {}
        self._expecting: set[asyncio.Task[None]] = set()
        self._known: set[str] = set()
        self._root: str | None = None
        self.is_connected = False

    async def run(self) -> None:
        wait_s = RECONNECT_S
        try:
            while True:
                if self._socket is None or os.path.exists(self._socket):  # noqa: ASYNC240, PTH110 - a stat
                    try:
                        async with self._client() as client:
                            await self._watch(client)
                        wait_s = RECONNECT_S
                    except (httpx.HTTPError, OSError, KeyError, ValueError) as error:
                        self._notices.state("docker", f"Docker does not answer: {str(error) or type(error).__name__}")
                self.is_connected = False
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 1.5, MAX_RECONNECT_S)
        finally:
            for task in (*self._following.values(), *self._expecting):
                task.cancel()
            await asyncio.gather(*self._following.values(), *self._expecting, return_exceptions=True)

    async def _watch(self, client: httpx.AsyncClient) -> None:
        """Events first, then the list: a container that starts in between is in one of them, or in both."""
        parameters = {"filters": json.dumps(_EVENTS)}
        timeout = httpx.Timeout(ANSWER_S, read=None)
        async with client.stream("GET", "/events", params=parameters, timeout=timeout) as events:
            events.raise_for_status()
            info = await _get(client, "/info")
            self._root = info.get("DockerRootDir") if info.get("LoggingDriver") == _FILE_DRIVER else None
            listed = await _get(client, "/containers/json", all="true")
            for found in listed:
                await self._inspect(client, found["Id"])
            self._containers.news.put(Listed(frozenset(found["Id"] for found in listed)))
            self.is_connected = True
            self._notices.over("docker", "Docker answers again")
            async for line in events.aiter_lines():
                if line.strip():
                    await self._hear(client, json.loads(line))

    async def _hear(self, client: httpx.AsyncClient, event: dict[str, Any]) -> None:
        actor = event.get("Actor", {})
        identity, attributes = actor.get("ID", ""), actor.get("Attributes", {})
        match event.get("Action"):
            case "create":
                self._expect(identity, attributes)
            case "start":
                await self._inspect(client, identity)
            case "rename":
                self._containers.news.put(Renamed(identity, attributes.get("name", "").lstrip("/")))
            case "destroy":
                self._known.discard(identity)
                self._containers.news.put(Gone(identity))
            case _:
                pass

    async def _inspect(self, client: httpx.AsyncClient, identity: str) -> None:
        try:
            found = await _get(client, f"/containers/{identity}/json")
        except httpx.HTTPStatusError:
            return  # Gone already.
        config, driver = found["Config"], found["HostConfig"]["LogConfig"]["Type"]
        name = found["Name"].lstrip("/")
        labels = config.get("Labels") or {}
        path = found.get("LogPath") or ""
        is_readable = driver == _FILE_DRIVER and bool(path) and os.access(path, os.R_OK)
        container = Container(
            identity, name, _service(labels, name), path if is_readable else None, bool(config.get("Tty"))
        )
        if is_readable:
            self._known.add(identity)
            self._containers.news.put(Added(container))
        elif identity not in self._known and driver != "none" and found["State"].get("StartedAt", "")[:4] != "0001":
            self._follow(container)

    def _expect(self, identity: str, attributes: dict[str, str]) -> None:
        """A container is being created: be there when its log file is, even if it will not live long."""
        if self._root is None or not os.access(f"{self._root}/containers/{identity}", os.X_OK):
            return
        task = asyncio.create_task(self._wait_for_log(identity, attributes))
        self._expecting.add(task)
        task.add_done_callback(self._expecting.discard)

    async def _wait_for_log(self, identity: str, attributes: dict[str, str]) -> None:
        path = f"{self._root}/containers/{identity}/{identity}-json.log"
        name = attributes.get("name", identity[:12])
        for _ in range(int(EXPECT_S / EXPECT_STEP_S)):
            try:
                opened = PlainBytes(path)
            except OSError:
                await asyncio.sleep(EXPECT_STEP_S)
                continue
            self._known.add(identity)
            container = Container(identity, name, _service(attributes, name), path, opened=opened)
            self._containers.news.put(Added(container))
            return

    def _follow(self, container: Container) -> None:
        running = self._following.get(container.id)
        if running is not None and not running.done():
            return
        self._following[container.id] = asyncio.create_task(self._follow_log(container))

    async def _follow_log(self, container: Container) -> None:
        """Read a log through the API until the container stops; its next start begins here again."""
        log = self._containers.logs.get(container.id)
        if log is None:
            log = self._containers.api_log(container)
            self._containers.logs[container.id] = log
        wait_s = RECONNECT_S
        while True:
            try:
                async with self._client() as client:
                    await self._read_log(client, container, log)
                    state = (await _get(client, f"/containers/{container.id}/json"))["State"]
                if not state.get("Running"):
                    return
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 404:
                    text = f"the log of container {container.name} cannot be read: {error.response.status_code}"
                    self._notices.state(f"container:{container.id}", text, repeats=False)
                return
            except (httpx.HTTPError, OSError, NotDockerLog) as error:
                text = f"the log of container {container.name} stopped: {str(error) or type(error).__name__}"
                self._notices.state(f"container:{container.id}", text)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.5, MAX_RECONNECT_S)

    async def _read_log(self, client: httpx.AsyncClient, container: Container, log: ApiLog) -> None:
        # The queue is emptied by a thread, so there is no event to wait for.
        while not log.is_passed:  # noqa: ASYNC110
            await asyncio.sleep(QUEUE_WAIT_S)
        place = log.place
        skip = place.skip
        since = f"{place.since_ns // 10**9}.{place.since_ns % 10**9:09d}"
        parameters = {"follow": "true", "stdout": "true", "stderr": "true", "timestamps": "true", "since": since}
        decoder = TerminalDecoder() if container.has_terminal else FrameDecoder()
        timeout = httpx.Timeout(ANSWER_S, read=None)
        path = f"/containers/{container.id}/logs"
        async with client.stream("GET", path, params=parameters, timeout=timeout) as answer:
            if answer.status_code >= 400:
                await answer.aread()
            answer.raise_for_status()
            async for data in answer.aiter_raw():
                fragments = decoder.feed(data)
                if skip:
                    skipped = min(skip, len(fragments))
                    fragments, skip = fragments[skipped:], skip - skipped
                if fragments:
                    log.put(fragments)
                while log.is_full:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(QUEUE_WAIT_S)

    def _client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=self._socket) if self._socket is not None else None
        return httpx.AsyncClient(base_url=self._base, transport=transport, timeout=ANSWER_S, trust_env=False)


def _address(host: str) -> tuple[str, str | None]:
    """Base URL and socket of `unix:///path` or `tcp://host:port`.

    Raises:
        ConfigError: it is neither.
    """
    parts = urlsplit(host)
    if parts.scheme == "unix" and parts.path:
        return "http://docker", parts.path
    if parts.scheme in ("tcp", "http") and parts.hostname:
        return f"http://{parts.netloc}", None
    raise ConfigError(f"{host!r} is not an address of Docker: unix:///var/run/docker.sock or tcp://host:port")


def _service(labels: dict[str, str], name: str) -> str:
    return next((labels[label] for label in _SERVICE_LABELS if labels.get(label)), name)


async def _get(client: httpx.AsyncClient, path: str, **parameters: str) -> Any:
    answer = await client.get(path, params=parameters)
    answer.raise_for_status()
    return answer.json()
