"""`POST /loki/api/v1/push`: entries come in, as protobuf or JSON.

Source: Loki pkg/loghttp/push/push.go, pkg/distributor/http.go
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson
from starlette.responses import Response

from sillok.errors import BadRequest, PushSyntaxError
from sillok.http.body import BodyReader, beside_the_loop
from sillok.http.errors import plain
from sillok.model.origin import BATCH_HEADER, BATCH_ID_BYTES, RECEIPT_HEADER, batch_of
from sillok.model.push import Pushed, Receipt
from sillok.server.call import Call
from sillok.server.services import Services
from sillok.wire import loki_push

JSON = "application/json"
RATE_REASONS = frozenset({"rate_limited", "per_stream_rate_limit", "stream_limit"})

_BATCH_ID = re.compile(rf"[0-9a-fA-F]{{{2 * BATCH_ID_BYTES}}}\Z")
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?\Z")
_MEDIA_PARAMETER = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s\";=]+)\s*\Z")


@dataclass(frozen=True, slots=True)
class LokiPush:
    services: Services

    async def push(self, call: Call) -> Response:
        tenant = call.tenant()
        headers = call.request.headers
        media_type = parse_media_type(headers.get("content-type", ""))
        encoding = headers.get("content-encoding", "").lower()
        named = named_batch(headers.get(BATCH_HEADER))
        bodies = self.services.bodies
        async with bodies.read(call.request, max_bytes=self.services.settings.limits.max_push_body_bytes) as body:
            pushed, batch = await beside_the_loop(
                body, lambda: (decode(body, media_type, encoding, bodies), named or batch_of(tenant, body))
            )
            receipt = await self.services.ingest.push(tenant, pushed, batch=batch, is_named=named is not None)
        return answer(receipt)


def decode(body: bytes, media_type: str, encoding: str, bodies: BodyReader) -> Pushed:
    """The push in `body`. All that is not JSON is protobuf in a raw snappy block, as in Loki."""
    if media_type == JSON:
        # Loki lets `snappy` pass for JSON and reads the body as it is; senders do that.
        return loki_push.decode_json(bodies.decompress(body, "" if encoding == "snappy" else encoding))
    if encoding in ("", "identity", "snappy"):
        return loki_push.decode_protobuf(bodies.unsnap(body))
    return _decode_inner(bodies.decompress(body, encoding), bodies)


def _decode_inner(content: bytes, bodies: BodyReader) -> Pushed:
    """Protobuf that was compressed with something else: Loki wants it in snappy even so; others send it bare."""
    try:
        content = bodies.unsnap(content)
    except BadRequest:
        pass
    return loki_push.decode_protobuf(content)


def answer(receipt: Receipt) -> Response:
    """204 when all is stored; else Loki's status and text. The receipt tells the numbers."""
    headers = {RECEIPT_HEADER: receipt_json(receipt)}
    if not receipt.refused:
        return Response(status_code=204, headers=headers)
    return plain(status_of_refusal(receipt), receipt.error or "some entries were refused", headers)


def status_of_refusal(receipt: Receipt) -> int:
    return 429 if RATE_REASONS & receipt.refused.keys() else 400


def receipt_json(receipt: Receipt) -> str:
    return orjson.dumps(
        {
            "batch": receipt.batch.hex(),
            "stored": receipt.stored,
            "duplicates": receipt.duplicates,
            "refused": dict(receipt.refused),
        }
    ).decode()


def named_batch(header: str | None) -> bytes | None:
    """The id that the sender gave its batch.

    Raises:
        BadRequest: the header is not 32 hexadecimal digits.
    """
    if header is None:
        return None
    if not _BATCH_ID.match(header):
        raise BadRequest(f"{BATCH_HEADER} is not {2 * BATCH_ID_BYTES} hexadecimal digits")
    return bytes.fromhex(header)


def parse_media_type(header: str) -> str:
    """The media type of a Content-Type header, with the errors of Go's `mime.ParseMediaType`."""
    if not header.strip():
        raise PushSyntaxError("mime: no media type")
    media_type, *parameters = header.split(";")
    media_type = media_type.strip().lower()
    if not media_type:
        raise PushSyntaxError("mime: no media type")
    if not _MEDIA_TYPE.match(media_type):
        after_slash = media_type.partition("/")[2]
        raise PushSyntaxError(
            "mime: unexpected content after media subtype" if after_slash else "mime: expected token after slash"
        )
    if not all(_MEDIA_PARAMETER.match(parameter) for parameter in parameters if parameter.strip()):
        raise PushSyntaxError("mime: invalid media parameter")
    return media_type
