"""What tells of the server itself: ready, metrics, build, configuration, services, log level."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import orjson
from starlette.responses import Response

import sillok
from sillok import telemetry
from sillok.http.errors import plain
from sillok.server.call import Call
from sillok.server.loki.params import read_params
from sillok.server.services import Services

JSON_HEADERS = {"Content-Type": "application/json"}
LEVELS = ("debug", "info", "warn", "error")
SERVICES = ("server", "ingest", "query", "store")


@dataclass(frozen=True, slots=True)
class Status:
    services: Services

    async def ready(self, _call: Call) -> Response:
        reason = self.services.ready()
        return plain(200, "ready") if reason is None else plain(503, reason)

    async def metrics(self, _call: Call) -> Response:
        text = await asyncio.to_thread(telemetry.exposition)
        return Response(text, headers={"Content-Type": telemetry.CONTENT_TYPE})

    async def buildinfo(self, _call: Call) -> Response:
        """Loki's keys. What a Go build would say and a Python program cannot is empty."""
        keys = ("revision", "branch", "buildUser", "buildDate", "goVersion")
        return _json({"version": sillok.__version__, **dict.fromkeys(keys, ""), "application": "sillok"})

    async def config(self, _call: Call) -> Response:
        return Response(self.services.config_text().encode(), headers={"Content-Type": "text/plain; charset=utf-8"})

    async def list_services(self, _call: Call) -> Response:
        state = "Running" if self.services.ready() is None else "Starting"
        return plain(200, "\n".join(f"{name} => {state}" for name in SERVICES))

    async def log_level(self, call: Call) -> Response:
        """GET says the level of Sillok's own log, POST sets it."""
        logger = logging.getLogger("sillok")
        if call.request.method != "POST":
            return _json({"message": f"Current log level is {_level_name(logger.getEffectiveLevel())}"})
        max_bytes = self.services.settings.limits.max_form_body_bytes
        params = await read_params(call.request, self.services.bodies, max_bytes=max_bytes)
        wanted = params.text("log_level")
        if wanted not in LEVELS:
            return _json({"status": "failed", "message": f'unrecognized log level "{wanted}"'}, status=400)
        logger.setLevel(wanted.upper().replace("WARN", "WARNING"))
        return _json({"status": "success", "message": f"Log level set to {wanted}"})


def _level_name(level: int) -> str:
    return logging.getLevelName(level).lower().replace("warning", "warn")


def _json(content: dict[str, str], *, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, JSON_HEADERS)
