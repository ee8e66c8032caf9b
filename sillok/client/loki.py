"""Clients of anybody's Loki API, for commands and programs that wait for their answer.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from sillok.errors import BadRequest, ConfigError, RemoteFailed
from sillok.model.labels import LabelSet, format_labels, label_set
from sillok.model.origin import BATCH_HEADER, BATCH_ID_BYTES, RECEIPT_HEADER
from sillok.wire.loki_push import encode_protobuf

DEFAULT_URL = "http://127.0.0.1:3100"
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 90.0  # above the default `query_timeout` of a server
MAX_ERROR_TEXT = 2000  # characters of a server's error that are shown
MAX_TAIL_FRAME_BYTES = 64 * 1024 * 1024
PUSH_PATH = "/loki/api/v1/push"


@dataclass(frozen=True, slots=True)
class Access:
    """Where a Loki API is, and who asks. `url` may end in a path that all requests begin with."""

    url: str = DEFAULT_URL
    tenant: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_right = False
        if not is_right:
            raise ConfigError(f"{self.url!r} is not the address of a server; for example {DEFAULT_URL}")

    @property
    def base(self) -> str:
        """The address without the path of the push API, which people have at hand as LOKI_URL."""
        return self.url.rstrip("/").removesuffix(PUSH_PATH)

    @property
    def is_local(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")

    def headers(self) -> dict[str, str]:
        headers = {"User-Agent": "sillok"}
        if self.tenant:
            headers["X-Scope-OrgID"] = self.tenant
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot use {self.ca_file} as a list of authorities: {error}") from error


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of an answer, with the labels of its stream."""

    time_ns: int
    line: str
    labels: LabelSet
    metadata: LabelSet = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What `query_range` and `query` gave: entries for a log query, else the result as Loki's JSON has it."""

    kind: str
    entries: Sequence[LogEntry]
    result: Any
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TailFrame:
    """What a live tail brought, and the entries that it had to leave out."""

    entries: Sequence[LogEntry]
    dropped: int


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push; `refused` by reason. A server that gives no receipts says nothing: all stored."""

    stored: int
    duplicates: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


class _Client:
    """One connection pool to one server."""

    def __init__(self, access: Access, *, transport: httpx.BaseTransport | None = None) -> None:
        self._access = access
        auth = httpx.BasicAuth(access.user, access.password or "") if access.user else None
        self._http = httpx.Client(
            base_url=access.base,
            headers=access.headers(),
            auth=auth,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            verify=access.tls() if access.base.startswith("https") else False,
            # A proxy of the environment does not know this machine's own addresses.
            trust_env=not access.is_local,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer, whatever its status.

        Raises:
            RemoteFailed: there was none.
        """
        try:
            return self._http.request(method, path, **options)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise RemoteFailed(_unreachable(self._access, str(error))) from error
        except httpx.TimeoutException as error:
            raise RemoteFailed(f"{self._access.base} did not answer within {ANSWER_TIMEOUT_S:.0f} s") from error
        except httpx.HTTPError as error:
            raise RemoteFailed(f"no answer from {self._access.base}: {error or type(error).__name__}") from error


class QueryClient(_Client):
    """Asks. All times are nanoseconds."""

    def __enter__(self) -> QueryClient:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def query_range(
        self,
        query: str,
        *,
        start_ns: int,
        end_ns: int,
        limit: int,
        newest_first: bool = True,
        step_ns: int | None = None,
    ) -> Answer:
        params = {
            "query": query,
            "start": start_ns,
            "end": end_ns,
            "limit": limit,
            "direction": "backward" if newest_first else "forward",
        }
        if step_ns is not None:
            params["step"] = f"{step_ns / 1e9:g}"
        return _answer(self._get("/loki/api/v1/query_range", params))

    def query(self, query: str, *, time_ns: int, limit: int, newest_first: bool = True) -> Answer:
        direction = "backward" if newest_first else "forward"
        params = {"query": query, "time": time_ns, "limit": limit, "direction": direction}
        return _answer(self._get("/loki/api/v1/query", params))

    def labels(self, *, start_ns: int, end_ns: int, query: str | None = None) -> list[str]:
        return self._names("/loki/api/v1/labels", start_ns=start_ns, end_ns=end_ns, query=query)

    def label_values(self, name: str, *, start_ns: int, end_ns: int, query: str | None = None) -> list[str]:
        return self._names(f"/loki/api/v1/label/{name}/values", start_ns=start_ns, end_ns=end_ns, query=query)

    def series(self, selectors: Sequence[str], *, start_ns: int, end_ns: int) -> list[LabelSet]:
        params: dict[str, Any] = {"match[]": list(selectors), "start": start_ns, "end": end_ns}
        found = self._get("/loki/api/v1/series", params).get("data") or []
        return sorted(label_set(labels) for labels in found)

    def tail(self, query: str, *, start_ns: int, limit: int, delay_for_s: int = 0) -> Iterator[TailFrame]:
        """What matches from now on, until the caller stops iterating. The first frame is empty: the tail is open.

        Raises:
            RemoteFailed: the server cannot be reached, refused, or ended the tail.
        """
        from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        params = urlencode({"query": query, "start": start_ns, "limit": limit, "delay_for": delay_for_s})
        address = self._access.base.replace("http", "ws", 1) + f"/loki/api/v1/tail?{params}"
        try:
            with connect(
                address,
                additional_headers=self._socket_headers(),
                user_agent_header=None,
                ssl=self._access.tls() if address.startswith("wss") else None,
                open_timeout=CONNECT_TIMEOUT_S,
                max_size=MAX_TAIL_FRAME_BYTES,
                proxy=None,
            ) as socket:
                yield TailFrame((), 0)
                for message in socket:
                    yield _tail_frame(message)
        except InvalidStatus as error:
            body = error.response.body or b""
            raise _failed(error.response.status_code, body.decode(errors="replace"), None) from error
        except ConnectionClosed as error:
            reason = error.rcvd.reason if error.rcvd else ""
            raise RemoteFailed(f"{self._access.base} ended the tail{': ' if reason else ''}{reason}") from error
        except WebSocketException as error:
            raise RemoteFailed(f"{self._access.base} answered, but not as Loki does: {error}", status=400) from error
        except OSError as error:
            raise RemoteFailed(_unreachable(self._access, str(error))) from error

    def _socket_headers(self) -> dict[str, str]:
        headers = self._access.headers()
        if self._access.user:
            request = httpx.Request("GET", "http://unused")
            flow = httpx.BasicAuth(self._access.user, self._access.password or "").auth_flow(request)
            headers["Authorization"] = next(flow).headers["Authorization"]
        return headers

    def _names(self, path: str, *, start_ns: int, end_ns: int, query: str | None) -> list[str]:
        params: dict[str, Any] = {"start": start_ns, "end": end_ns}
        if query:
            params["query"] = query
        return list(self._get(path, params).get("data") or [])

    def _get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        response = self._ask("GET", path, params=params)
        _check(response)
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or "status" not in body:
            raise RemoteFailed(f"{self._access.base} answered, but not as Loki does: is this the right address?")
        return body


class PushClient(_Client):
    """Pushes, a batch a call."""

    def __enter__(self) -> PushClient:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def push(self, labels: LabelSet, entries: Sequence[tuple[int, bytes]], *, batch: bytes) -> Pushed:
        """Store `entries` (time, line) under `labels`. Pushing again with the same `batch` stores nothing twice.

        Raises:
            RemoteFailed: nothing of it was stored, or nobody knows; `is_worth_a_retry` says whether to try again.
        """
        import cramjam

        if len(batch) != BATCH_ID_BYTES:
            raise BadRequest(f"a batch id has {BATCH_ID_BYTES} bytes")
        body = encode_protobuf([(format_labels(labels), [(time_ns, line, (), None) for time_ns, line in entries])])
        headers = {"Content-Type": "application/x-protobuf", BATCH_HEADER: batch.hex()}
        response = self._ask("POST", PUSH_PATH, content=bytes(cramjam.snappy.compress_raw(body)), headers=headers)
        receipt = _receipt(response.headers.get(RECEIPT_HEADER))
        if receipt is None:
            _check(response)
            return Pushed(len(entries))
        if not response.is_success and not receipt.get("refused"):
            _check(response)
        error = None if response.is_success else response.text.strip()
        return Pushed(
            int(receipt.get("stored", 0)), int(receipt.get("duplicates", 0)), receipt.get("refused", {}), error
        )


def _receipt(header: str | None) -> dict[str, Any] | None:
    try:
        receipt = json.loads(header or "null")
    except ValueError:
        return None
    return receipt if isinstance(receipt, dict) else None


def _check(response: httpx.Response) -> None:
    if not response.is_success:
        raise _failed(response.status_code, response.text, response.headers.get("Retry-After"))


def _failed(status: int, text: str, retry_after: str | None) -> RemoteFailed:
    text = _error_text(text).strip()[:MAX_ERROR_TEXT] or "no reason given"
    remedy = {
        401: " (give --org-id)" if "org id" in text else " (give --token-file, or --user and SILLOK_PASSWORD)",
        404: " (is this the right address?)",
    }.get(status, "")
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return RemoteFailed(f"the server answered {status}: {text}{remedy}", status=status, retry_after_s=seconds)


def _error_text(text: str) -> str:
    """Loki says errors in plain text; Prometheus' kind of answer has them in JSON."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    return str(body.get("error") or body.get("message") or text) if isinstance(body, dict) else text


def _unreachable(access: Access, reason: str) -> str:
    return (
        f"cannot reach a server at {access.base} ({reason.strip() or 'no answer'}): "
        "start one with `sillok up`, or name another with --addr or SILLOK_URL"
    )


def _answer(body: Mapping[str, Any]) -> Answer:
    data = body.get("data") or {}
    kind = str(data.get("resultType", ""))
    result = data.get("result") or []
    entries = tuple(_entries(result)) if kind == "streams" else ()
    return Answer(kind, entries, result, tuple(body.get("warnings") or ()))


def _entries(streams: Iterable[Mapping[str, Any]]) -> Iterator[LogEntry]:
    for stream in streams:
        labels = label_set(stream.get("stream") or {})
        for value in stream.get("values") or ():
            metadata = label_set(_metadata(value[2])) if len(value) > 2 else ()
            yield LogEntry(int(value[0]), value[1], labels, metadata)


def _metadata(third: Mapping[str, Any]) -> Mapping[str, str]:
    """Structured metadata is flat, or under its own name in the categorised form."""
    inner = third.get("structuredMetadata")
    return inner if isinstance(inner, dict) else third


def _tail_frame(message: str | bytes) -> TailFrame:
    body = json.loads(message)
    dropped = body.get("dropped_entries") or ()
    return TailFrame(tuple(_entries(body.get("streams") or ())), len(dropped))
