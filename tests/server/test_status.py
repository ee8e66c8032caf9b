"""What the server tells of itself."""

from __future__ import annotations

import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

import sillok
from tests.server.fakes import app, client

pytestmark = pytest.mark.anyio


async def test_ready_is_200_or_says_why_not() -> None:
    async with client(app()) as http:
        ready = await http.get("/ready")
    async with client(app(ready=lambda: "the store is opening")) as http:
        waiting = await http.get("/ready")
        services = await http.get("/services")

    assert (ready.status_code, ready.text) == (200, "ready\n")
    assert (waiting.status_code, waiting.text) == (503, "the store is opening\n")
    assert "server => Starting\n" in services.text


async def test_metrics_are_prometheus_text_with_build_and_process() -> None:
    async with client(app()) as http:
        await http.get("/ready")
        answer = await http.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert found["sillok_build_info"].samples[0].labels["version"] == sillok.__version__
    assert {"sillok_http_request_seconds", "process_resident_memory_bytes", "process_open_fds"} <= found.keys()
    assert "sillok_http_request_seconds_bucket" in answer.text


async def test_buildinfo_has_lokis_keys() -> None:
    async with client(app()) as http:
        info = (await http.get("/loki/api/v1/status/buildinfo")).json()

    assert info["version"] == sillok.__version__
    assert {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"} <= info.keys()


async def test_config_is_the_text_it_was_given() -> None:
    async with client(app()) as http:
        answer = await http.get("/config")

    assert (answer.text, answer.headers["content-type"]) == ("auth_enabled: false\n", "text/plain; charset=utf-8")


async def test_the_log_level_is_told_and_set_by_post_only() -> None:
    logger = logging.getLogger("sillok")
    before = logger.level
    try:
        async with client(app()) as http:
            posted = await http.post("/log_level", data={"log_level": "debug"})
            told = await http.get("/log_level", params={"log_level": "error"})
            wrong = await http.post("/log_level", data={"log_level": "loud"})
    finally:
        logger.setLevel(before)

    assert posted.json() == {"status": "success", "message": "Log level set to debug"}
    assert told.json() == {"message": "Current log level is debug"}
    assert (wrong.status_code, wrong.json()["message"]) == (400, 'unrecognized log level "loud"')
