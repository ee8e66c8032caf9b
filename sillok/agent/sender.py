"""The sending half: spooled batches, oldest first, to a Loki push endpoint, until each has its answer.

One batch is under way at a time: that keeps the order, and a batch is large enough to fill a connection.

- 2xx: stored. Our store adds a receipt with the exact numbers; a Loki has none, and is taken at its word.
- 400, 413, 422 and other refusals of the content: the same bytes will be refused again. What the
  receipt does not call stored is counted as refused, loudly, and the next batch follows.
- 429, 5xx, no answer: the same bytes again, with the same id, after a while that doubles from 0.5 s to
  5 minutes, with jitter, or as `Retry-After` says. There is no last try.
- 401, 403, 404, 405, 407, 408 and 3xx are about the address or the credentials, not about the lines:
  they wait as well, so that a wrong token does not cost a line.

Source:  promtail clients/pkg/promtail/client/client.go, dskit backoff
Differs: promtail drops a batch after ten tries, and on every 4xx but 429. A refused *connection* is tried
    again after 30 s at the latest: asking a dead port costs nobody anything.
"""

from __future__ import annotations

import asyncio
import base64
import email.utils
import logging
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import orjson

from sillok.agent.custody import Custody, Waiting
from sillok.agent.ledger import Outcome
from sillok.agent.notices import Notices
from sillok.agent.settings import Target, is_loopback
from sillok.model.origin import BATCH_HEADER, RECEIPT_HEADER

MAX_CONNECT_BACKOFF_S = 30.0
MAX_RETRY_AFTER_S = 300.0
MAX_ERROR_TEXT = 500
_ABOUT_THE_ADDRESS = frozenset({401, 403, 404, 405, 407, 408, 425})


@dataclass(frozen=True, slots=True)
class Retry:
    """Not settled: send the same again. `after_s` is what the server asked for."""

    text: str
    after_s: float | None = None
    is_connection: bool = False


class Backoff:
    """Doubling waits with full jitter between one step and the next."""

    def __init__(self, min_s: float, max_s: float, *, pick: Callable[[float, float], float] = random.uniform) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._pick = pick
        self._tries = 0

    def reset(self) -> None:
        self._tries = 0

    def next(self, retry: Retry) -> float:
        low = min(self._min_s * 2**self._tries, self._max_s)
        self._tries = min(self._tries + 1, 32)
        wait_s = self._pick(low, min(low * 2, self._max_s))
        if retry.is_connection:
            wait_s = min(wait_s, MAX_CONNECT_BACKOFF_S)
        return max(wait_s, min(retry.after_s or 0.0, MAX_RETRY_AFTER_S))


class Sender:
    """`run` sends until cancelled. `wake` says that there is something new; `last_error` is for the status."""

    def __init__(self, target: Target, custody: Custody, notices: Notices, *, user_agent: str) -> None:
        self._target = target
        self._custody = custody
        self._notices = notices
        self._user_agent = user_agent
        self._backoff = Backoff(target.min_backoff_s, target.max_backoff_s)
        self._wake = asyncio.Event()
        self._is_under_way = False
        self._is_stopping = False
        self.last_error: str | None = None
        self.retries = 0
        self.sent_batches = 0

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        async with self._client() as client:
            while not self._is_stopping:
                self._wake.clear()
                waiting = self._custody.next()
                if waiting is None:
                    await self._wake.wait()
                else:
                    await self._send(client, waiting)

    async def stop(self, sending: asyncio.Task[None], *, timeout_s: float) -> None:
        """End `sending` (a task of `run`). A batch under way may get its answer within `timeout_s`."""
        if self._is_under_way:
            self._is_stopping = True
            await asyncio.wait({sending}, timeout=timeout_s)
        sending.cancel()

    async def _send(self, client: httpx.AsyncClient, waiting: Waiting) -> None:
        ledger = self._custody.ledger
        ledger.sending(waiting.lines)
        self._is_under_way = True
        is_settled = False
        try:
            answer = await self._try(client, waiting)
            if isinstance(answer, Outcome):
                self._custody.settle(waiting, answer)
                is_settled = True
        finally:
            self._is_under_way = False
            if not is_settled:
                ledger.unsent(waiting.lines)
        if isinstance(answer, Outcome):
            self._backoff.reset()
            self.sent_batches += 1
            self.last_error = None
            self._notices.over("send", f"{self._target.url} takes lines again")
            return
        self.retries += 1
        self.last_error = answer.text
        wait_s = self._backoff.next(answer)
        self._notices.state("send", f"{answer.text}; lines wait in the spool and are sent again", level=logging.WARNING)
        await asyncio.sleep(wait_s)

    async def _try(self, client: httpx.AsyncClient, waiting: Waiting) -> Outcome | Retry:
        url = self._target.url
        try:
            headers = {BATCH_HEADER: waiting.batch, **self._authorization()}
            response = await client.post(url, content=waiting.record.body, headers=headers)
        except OSError as error:
            return Retry(f"the token file cannot be read: {error}")
        except httpx.ConnectError as error:
            return Retry(f"{url} cannot be reached: {error}", is_connection=True)
        except httpx.HTTPError as error:
            return Retry(f"{url} did not answer: {str(error) or type(error).__name__}")
        return self._judge(waiting, response)

    def _judge(self, waiting: Waiting, response: httpx.Response) -> Outcome | Retry:
        status = response.status_code
        receipt = _receipt(response, waiting)
        if 200 <= status < 300:
            outcome = receipt or Outcome(stored=waiting.line_count)
        elif status == 429 or status >= 500 or 300 <= status < 400 or status in _ABOUT_THE_ADDRESS:
            text = f"{self._target.url} answers {status}: {_text(response)}"
            return Retry(text, _retry_after_s(response))
        else:
            outcome = receipt or Outcome(refused={f"http_{status}": waiting.line_count})
        if outcome.refused:
            self._notices.state(
                "refused",
                f"{self._target.url} refused {sum(outcome.refused.values())} of {waiting.line_count} lines"
                f" with {status}: {_text(response) or outcome.refused}",
                level=logging.ERROR,
            )
        return outcome

    def _client(self) -> httpx.AsyncClient:
        target = self._target
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": self._user_agent}
        if target.tenant is not None:
            headers["X-Scope-OrgID"] = target.tenant
        url = httpx.URL(target.url)
        verify = ssl.create_default_context(cafile=target.ca_file) if url.scheme == "https" else False
        return httpx.AsyncClient(
            headers=headers,
            verify=verify,
            timeout=target.timeout_s,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            trust_env=not is_loopback(url.host),  # Proxies from the environment; never for this machine, as in Go.
        )

    def _authorization(self) -> dict[str, str]:
        target = self._target
        if target.bearer_token_file is not None:
            # Read each time: whoever rotates the token need not restart us.
            return {"Authorization": f"Bearer {target.bearer_token_file.read_text().strip()}"}
        if target.user is not None:
            pair = base64.b64encode(f"{target.user}:{target.password or ''}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


def _receipt(response: httpx.Response, waiting: Waiting) -> Outcome | None:
    """The receipt, if there is one that speaks of this batch and of all its lines."""
    text = response.headers.get(RECEIPT_HEADER)
    if text is None:
        return None
    try:
        receipt = orjson.loads(text)
        stored = int(receipt["stored"]) + int(receipt.get("duplicates", 0))
        refused = {str(reason): int(count) for reason, count in receipt.get("refused", {}).items() if count}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None
    if receipt.get("batch") != waiting.batch or stored + sum(refused.values()) != waiting.line_count:
        return None
    return Outcome(stored=stored, refused=refused)


def _retry_after_s(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _text(response: httpx.Response) -> str:
    return response.text.strip()[:MAX_ERROR_TEXT]
