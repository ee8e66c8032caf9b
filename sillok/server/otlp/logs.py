"""`POST /otlp/v1/logs` and `/v1/logs`: OpenTelemetry log records, protobuf or JSON.

Source:  https://opentelemetry.io/docs/specs/otlp/#otlphttp
Differs: Loki answers 204 and, when it refuses some, 400; here the answer is OTLP's own: 200 with
         `partial_success` when some were refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.responses import Response

from sillok.errors import BadRequest, RateLimited
from sillok.http.body import beside_the_loop
from sillok.model.origin import BATCH_HEADER, RECEIPT_HEADER, batch_of
from sillok.model.push import Receipt
from sillok.server.call import Call
from sillok.server.loki.push import named_batch, parse_media_type, receipt_json, status_of_refusal
from sillok.server.protobuf import message, number
from sillok.server.services import Services
from sillok.wire import otlp_logs

JSON = "application/json"
PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class OtlpLogs:
    services: Services

    async def push(self, call: Call) -> Response:
        tenant = call.tenant()
        headers = call.request.headers
        media_type = parse_media_type(headers.get("content-type", ""))
        if media_type not in (JSON, PROTOBUF):
            raise BadRequest(f"content type {media_type!r} is neither {JSON} nor {PROTOBUF}")
        encoding = headers.get("content-encoding", "").lower()
        named = named_batch(headers.get(BATCH_HEADER))
        bodies = self.services.bodies
        async with bodies.read(call.request, max_bytes=self.services.settings.limits.max_push_body_bytes) as body:
            pushed, batch = await beside_the_loop(
                body,
                lambda: (
                    otlp_logs.decode(bodies.decompress(body, encoding), content_type=media_type),
                    named or batch_of(tenant, body),
                ),
            )
            if not pushed.streams:
                return answer(Receipt(batch, 0), media_type)
            receipt = await self.services.ingest.push(tenant, pushed, batch=batch, is_named=named is not None)
        return answer(receipt, media_type)


def answer(receipt: Receipt, media_type: str) -> Response:
    """`ExportLogsServiceResponse`; with `partial_success` when entries were refused.

    Raises:
        RateLimited: entries were refused for the rate; an OTLP sender tries again only when told so.
    """
    refused = sum(receipt.refused.values())
    text = receipt.error or ""
    if refused and status_of_refusal(receipt) == 429:
        raise RateLimited(text)
    headers = {RECEIPT_HEADER: receipt_json(receipt), "Content-Type": media_type}
    if media_type == JSON:
        partial = {"partialSuccess": {"rejectedLogRecords": str(refused), "errorMessage": text}} if refused else {}
        return Response(json.dumps(partial).encode(), headers=headers)
    return Response(message(1, number(1, refused) + message(2, text.encode())) if refused else b"", headers=headers)
