"""Server and collector as two child processes: started in order, watched, stopped in order.

Each has a process of its own, so that neither can take the other down. What they log goes to files in the
data folder; warnings and errors also to the terminal.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import sillok
from sillok.cli import config
from sillok.cli.collector import AGENT_FOLDER, agent_settings
from sillok.cli.exits import Exit
from sillok.cli.process import PARENT_VARIABLE
from sillok.cli.terminal import BOLD, Progress, has_colour, paint
from sillok.config.sillok import Settings, parse_address, show_address
from sillok.errors import ConfigError, SillokError

PUSH_PATH = "/loki/api/v1/push"
LOG_FOLDER = "log"
STATUS_FILE = "status.json"
TOKEN_FILE = "server-token"  # noqa: S105 - a file's name
MAX_LOG_BYTES = 16 * 1024 * 1024  # of each log file; one older file is kept beside it
LAST_LINES = 15  # of a child's log, shown when it ended by itself
LOOK_S = 0.2
READY_S = 300.0
SAME_WISH_S = 1.0  # wrappers pass on the Ctrl-C that the terminal sent to everybody already
READY_TIMEOUT_S = 1.0
# All within the five seconds promised.
AGENT_STOP_S = 2.0
STOP_S = 4.7
# Without a terminal: when to say how many lines came in, in seconds since the start; then every minute.
REPORT_AT_S = (2.0, 5.0, 10.0, 30.0, 60.0)
REPORT_EVERY_S = 60.0


def supervise(args: argparse.Namespace) -> int:
    """Run both until SIGTERM or Ctrl-C.

    Raises:
        ConfigError: the configuration is wrong; nothing was started.
        SillokError: the server did not start, or one of the two ended by itself.
    """
    loaded = config.load(args)
    if loaded.settings.agent.loki_url:
        agent_settings(loaded.settings)  # A malformed target is told before anything is started.
    plan = _Plan.of(loaded.settings)
    stop = _StopSignals()
    server = _Child("server", [*plan.server(args)], plan.logs)
    agent: _Child | None = None
    try:
        _await_ready(server, plan, stop)
        if not stop.is_asked:
            agent = _Child("agent", [*plan.agent(args)], plan.logs)
            _introduce(plan)
            _watch(server, agent, plan, stop, progress=Progress(enabled=not args.quiet, stream=sys.stdout))
    finally:
        _stop(server, agent)
    print("stopped")
    return Exit.OK


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is started with which options."""

    settings: Settings
    data: Path
    url: str
    target: str | None
    token: str | None

    @classmethod
    def of(cls, settings: Settings) -> _Plan:
        data = Path(settings.data).absolute()
        host, port = parse_address(settings.server.listen[0])
        if port == 0:
            raise ConfigError("`sillok up` needs a port of its own choice in --listen, not 0")
        scheme = "https" if settings.server.tls.cert_file else "http"
        url = f"{scheme}://{show_address({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host), port)}"  # noqa: S104
        (data / LOG_FOLDER).mkdir(parents=True, exist_ok=True)
        target = None if settings.agent.loki_url else url + PUSH_PATH
        has_credentials = bool(settings.auth.credentials or settings.auth.credentials_file)
        needs_token = target is not None and has_credentials and not settings.agent.bearer_token_file
        return cls(settings, data, url, target, _write_token(data) if needs_token else None)

    @property
    def logs(self) -> Path:
        return self.data / LOG_FOLDER

    def server(self, args: argparse.Namespace) -> Sequence[str]:
        options = [*config.arguments_of(args), *config.loki_arguments_of(args), "--data", str(self.data)]
        for address in args.listen or ():
            options += ["--listen", address]
        if args.auth_enabled:
            options.append("--auth-enabled")
        if self.token is not None:
            from sillok.http.credentials import hash_token

            options += ["--collector-token-hash", hash_token(self.token)]
        return ["serve", *options]

    def agent(self, args: argparse.Namespace) -> Sequence[str]:
        options = [*config.arguments_of(args), "--data", str(self.data), "--own-log", str(self.logs / "*.log")]
        agent = self.settings.agent
        if self.target is not None:
            options += ["--set", f"agent.loki_url={self.target}"]
            if self.settings.auth.enabled and not agent.tenant:
                options += ["--set", f"agent.tenant={self.settings.auth.default_tenant}"]
            if self.settings.server.tls.cert_file and not agent.ca_file:
                options += ["--set", f"agent.ca_file={self.settings.server.tls.cert_file}"]
        if self.token is not None:
            options += ["--set", f"agent.bearer_token_file={self.data / AGENT_FOLDER / TOKEN_FILE}"]
        return ["agent", *options]


def _write_token(data: Path) -> str:
    """A new token for this run, in a file that nobody else can read."""
    from sillok.http.credentials import new_token

    token = new_token()
    folder = data / AGENT_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with open(os.open(folder / TOKEN_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
        file.write(token)
    return token


class _StopSignals:
    """SIGTERM and Ctrl-C ask to stop; a second Ctrl-C ends at once (the children die with us)."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._asked_s = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    @property
    def is_asked(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        return self._event.wait(timeout_s)

    def _ask(self, number: int, _frame: object) -> None:
        if not self._event.is_set():
            self._asked_s = time.monotonic()
            self._event.set()
        elif time.monotonic() - self._asked_s > SAME_WISH_S:
            os._exit(128 + number)


class _Child:
    """A process of ours and its log file."""

    def __init__(self, name: str, arguments: Sequence[str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        # A session of its own: Ctrl-C reaches us alone, and we stop the two in order.
        # -P: nothing in the folder we are in can take the place of a module.
        self._process = subprocess.Popen(  # noqa: S603 - our own program with our own options
            [sys.executable, "-P", "-m", "sillok", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._pump = threading.Thread(target=_pump, args=(self._process.stdout, self.log, name), daemon=True)
        self._pump.start()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise when it ended by itself."""
        if self.has_ended:
            self._pump.join(1.0)
            raise SillokError(
                f"the {self.name} ended by itself ({self._process.returncode}); {self.log} says:\n{self._last()}"
            )

    def ask_to_stop(self) -> None:
        if not self.has_ended:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> bool:
        try:
            self._process.wait(max(timeout_s, 0.0))
        except subprocess.TimeoutExpired:
            return False
        self._pump.join(0.2)
        return True

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _last(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return "(nothing)"
        return "\n".join(f"  {line}" for line in lines[-LAST_LINES:])


def _pump(source: IO[bytes], path: Path, name: str) -> None:
    """Lines of a child into its log file, and to the terminal what a person has to see."""
    with source:
        file = path.open("ab")
        for line in source:
            if file.tell() + len(line) > MAX_LOG_BYTES:
                file.close()
                path.replace(path.with_suffix(".log.1"))
                file = path.open("ab")
            file.write(line)
            file.flush()
            if b" level=warn " in line or b" level=error " in line or not line.startswith(b"ts="):
                sys.stderr.write(f"\r\033[K{name}: " if sys.stderr.isatty() else f"{name}: ")
                sys.stderr.write(line.decode(errors="replace"))
                sys.stderr.flush()
        file.close()


def _await_ready(server: _Child, plan: _Plan, stop: _StopSignals) -> None:
    progress = Progress(stream=sys.stdout)
    deadline_s = time.monotonic() + READY_S
    while not _is_ready(plan.url):
        server.check()
        if stop.wait(LOOK_S):
            break
        if time.monotonic() > deadline_s:
            raise SillokError(f"the server did not get ready within {READY_S:.0f} s; {server.log} says more")
        progress.show("starting …")
    progress.clear()


def _is_ready(url: str) -> bool:
    import http.client
    import ssl

    scheme, _, address = url.partition("://")
    # Whether it is ready is no secret, and its certificate need not name the loopback address.
    connection = (
        http.client.HTTPConnection(address, timeout=READY_TIMEOUT_S)
        if scheme == "http"
        else http.client.HTTPSConnection(address, timeout=READY_TIMEOUT_S, context=ssl._create_unverified_context())  # noqa: S323
    )
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _introduce(plan: _Plan) -> None:
    colour = has_colour("auto", sys.stdout)
    watched = [path for entry in plan.settings.agent.files for path in entry.paths]
    if plan.settings.agent.docker.enabled:
        host = plan.settings.agent.docker.host
        is_there = not host.startswith("unix://") or Path(host.removeprefix("unix://")).exists()
        watched.append(f"Docker containers ({host}{'' if is_there else ', not there yet'})")
    watched.append("Sillok's own log")
    print(paint(f"Sillok {sillok.__version__} is ready at {plan.url}", BOLD, enabled=colour))
    print(f"  data      {plan.data}")
    print(f"  watching  {', '.join(watched)}")
    print(f"  pushing   to {_without_credentials(plan.target or plan.settings.agent.loki_url)}")
    print("  Ctrl-C stops; the next start goes on where this one stopped", flush=True)


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _watch(server: _Child, agent: _Child, plan: _Plan, stop: _StopSignals, *, progress: Progress) -> None:
    """Say how many lines come in, until somebody asks to stop or one of the two ends."""
    began_s = time.monotonic()
    reports = iter(REPORT_AT_S)
    next_report_s = next(reports)
    said = ""
    try:
        while not stop.wait(LOOK_S):
            server.check()
            agent.check()
            text = _counts(_status(plan.data))
            if progress.is_enabled:
                progress.show(text)
            elif time.monotonic() - began_s >= next_report_s:
                next_report_s = next(reports, next_report_s + REPORT_EVERY_S)
                if text != said:
                    print(text, flush=True)
                    said = text
    finally:
        progress.clear()
    print(_counts(_status(plan.data)), flush=True)


def _status(data: Path) -> Mapping[str, Any]:
    try:
        status = json.loads((data / AGENT_FOLDER / STATUS_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}


def _counts(status: Mapping[str, Any]) -> str:
    lines = status.get("lines") or {}
    read, stored = int(lines.get("read", 0)), int(lines.get("stored", 0))
    waiting = int(lines.get("spooled", 0)) + int(lines.get("in_flight", 0))
    refused = sum((lines.get("refused") or {}).values())
    text = f"{read:,} lines read, {stored:,} stored"
    text += f", {waiting:,} waiting" if waiting else ""
    text += f", {refused:,} refused" if refused else ""
    watched = ", ".join(f"{count:,} {kind}" for kind, count in (status.get("watched") or {}).items())
    error = status.get("last_error")
    return text + (f" · {watched}" if watched else "") + (f" · {error}" if error else "")


def _stop(server: _Child, agent: _Child | None) -> None:
    """The collector first, so that what it read last is still stored; then the server."""
    deadline_s = time.monotonic() + STOP_S
    if agent is not None:
        agent.ask_to_stop()
        agent.wait(AGENT_STOP_S)
    server.ask_to_stop()
    for child in (server, agent):
        if child is not None and not child.wait(deadline_s - time.monotonic()):
            # Nothing is lost: what was acknowledged is on disk, everything else is in the spool.
            child.kill()
