"""Loki's query API: `query`, `query_range`, labels, series, index statistics, and our own histogram.

Each endpoint reads its parameters, asks the query service, and passes on the body it gets. The work is
cancelled when the client goes away.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from sillok.errors import BadRequest
from sillok.http.compression import compressed
from sillok.http.presence import while_connected
from sillok.server.call import Call
from sillok.server.loki.params import Params, read_params, wants_categories
from sillok.server.services import Services

JSON_HEADERS = {"Content-Type": "application/json; charset=UTF-8"}
AGGREGATIONS = ("series", "labels")
DEFAULT_AGGREGATION = "series"


@dataclass(frozen=True, slots=True)
class LokiQuery:
    services: Services

    async def query_range(self, call: Call) -> Response:
        tenant, params = await self._asked(call)
        time_range = params.time_range(now_ns=self.services.clock())
        return await _answer(
            call,
            self.services.query.query_range(
                tenant,
                params.text("query"),
                start_ns=time_range.start_ns,
                end_ns=time_range.end_ns,
                limit=params.limit(),
                newest_first=params.newest_first(),
                step_ns=params.step_ns(time_range),
                interval_ns=params.interval_ns(),
                categorize=wants_categories(call.request),
            ),
        )

    async def query(self, call: Call) -> Response:
        tenant, params = await self._asked(call)
        return await _answer(
            call,
            self.services.query.query(
                tenant,
                params.text("query"),
                time_ns=params.time_ns(now_ns=self.services.clock()),
                limit=params.limit(),
                newest_first=params.newest_first(),
                categorize=wants_categories(call.request),
            ),
        )

    async def labels(self, call: Call) -> Response:
        tenant, params = await self._asked(call)
        time_range = params.time_range(now_ns=self.services.clock())
        return await _answer(
            call,
            self.services.query.labels(
                tenant,
                start_ns=time_range.start_ns,
                end_ns=time_range.end_ns,
                query=params.text("query") or None,
            ),
        )

    async def label_values(self, call: Call) -> Response:
        tenant, params = await self._asked(call)
        time_range = params.time_range(now_ns=self.services.clock())
        return await _answer(
            call,
            self.services.query.label_values(
                tenant,
                call.path_name,
                start_ns=time_range.start_ns,
                end_ns=time_range.end_ns,
                query=params.text("query") or None,
            ),
        )

    async def series(self, call: Call) -> Response:
        tenant, params = await self._asked(call)
        time_range = params.time_range(now_ns=self.services.clock())
        return await _answer(
            call,
            self.services.query.series(
                tenant,
                [*params.all("match"), *params.all("match[]")],
                start_ns=time_range.start_ns,
                end_ns=time_range.end_ns,
            ),
        )

    async def index_stats(self, call: Call) -> Response:
        tenant, params = await self._asked(call)
        time_range = params.time_range(now_ns=self.services.clock())
        return await _answer(
            call,
            self.services.query.index_stats(
                tenant, params.text("query"), start_ns=time_range.start_ns, end_ns=time_range.end_ns
            ),
        )

    async def index_volume(self, call: Call) -> Response:
        tenant, params = await self._asked(call)
        time_range = params.time_range(now_ns=self.services.clock())
        aggregate_by = params.text("aggregateBy") or DEFAULT_AGGREGATION
        if aggregate_by not in AGGREGATIONS:
            raise BadRequest("invalid aggregation option")
        return await _answer(
            call,
            self.services.query.index_volume(
                tenant,
                params.text("query"),
                start_ns=time_range.start_ns,
                end_ns=time_range.end_ns,
                limit=params.limit(),
                target_labels=[name for name in params.text("targetLabels").split(",") if name],
                aggregate_by=aggregate_by,
            ),
        )

    async def histogram(self, call: Call) -> Response:
        tenant, params = await self._asked(call)
        time_range = params.time_range(now_ns=self.services.clock())
        return await _answer(
            call,
            self.services.query.histogram(
                tenant,
                params.text("query"),
                start_ns=time_range.start_ns,
                end_ns=time_range.end_ns,
                step_ns=params.step_ns(time_range),
            ),
        )

    async def _asked(self, call: Call) -> tuple[str, Params]:
        tenant = call.tenant()
        max_bytes = self.services.settings.limits.max_form_body_bytes
        return tenant, await read_params(call.request, self.services.bodies, max_bytes=max_bytes)


async def _answer(call: Call, work: Coroutine[Any, Any, bytes]) -> Response:
    response = Response(await while_connected(call.request, work), headers=JSON_HEADERS)
    return await compressed(call.request, response)
