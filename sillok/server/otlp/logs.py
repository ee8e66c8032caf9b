"""`POST /otlp/v1/logs` and `/v1/logs`: OpenTelemetry log records, protobuf or JSON.

204 when all is stored, as Loki answers (OTLP asks for 200; exporters take every 2xx). When some entries
were refused, OTLP's own answer: 200 with `partial_success`, where Loki says 400 as if nothing was stored.

Sources: https://opentelemetry.io/docs/specs/otlp/#otlphttp; Loki pkg/distributor/http.go `OTLPPushHandler`
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.responses import Response

from sillok.errors import EntriesRefused, PushSyntaxError, RateLimited
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
            raise PushSyntaxError(f"content type: {media_type} is not supported")
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
            receipt = await self.services.ingest.push(tenant, pushed, batch=batch, is_named=named is not None)
        return answer(receipt, media_type)


def answer(receipt: Receipt, media_type: str) -> Response:
    """Nothing to say, or `ExportLogsServiceResponse` with what was refused.

    Raises:
        RateLimited: entries were refused for the rate; an OTLP sender tries again only when told so.
        EntriesRefused: not one entry was taken.
    """
    refused = sum(receipt.refused.values())
    text = receipt.error or ""
    headers = {RECEIPT_HEADER: receipt_json(receipt)}
    if not refused:
        return Response(status_code=204, headers=headers)
    if status_of_refusal(receipt) == 429:
        raise RateLimited(text)
    if receipt.stored + receipt.duplicates == 0:
        raise EntriesRefused(text)
    if media_type == JSON:
        partial = {"partialSuccess": {"rejectedLogRecords": str(refused), "errorMessage": text}}
        content = json.dumps(partial).encode()
    else:
        content = message(1, number(1, refused) + message(2, text.encode()))
    return Response(content, headers={**headers, "Content-Type": media_type})
