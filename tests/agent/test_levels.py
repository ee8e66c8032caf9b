"""Levels of real lines: vLLM, uvicorn, gunicorn, MLflow, LiteLLM, winston, PostgreSQL, Prometheus, syslog, …"""

from __future__ import annotations

import pytest

from sillok.agent.levels import LEVELS, level_of

NAMED = {
    "INFO:     Application startup complete.": "info",
    "ERROR:    Exception in ASGI application": "error",
    "(APIServer pid=14678) INFO 11-20 12:43:42 [api_utils.py:286] non-default args: {'model': './tiny'}": "info",
    "(VllmWorker-0 pid=15677) WARNING 11-20 12:44:58 [vllm.py:725] Model Runner V2 requires Triton": "warn",
    "(APIServer pid=1) ERROR 11-20 12:45:29 [serving.py:274] Error with model error=ErrorInfo(message='x')": "error",
    "[W1120 12:44:58.170343242 utils.cpp:68] Warning: NUMA binding: Using MEMBIND policy": "warn",
    "W1120 13:21:38.547000 19092 torch/_library/triton.py:53] Triton not available": "warn",
    '{"asctime": "2026-11-20 12:49:18,753", "levelname": "INFO", "message": "an ERROR: in the message"}': "info",
    '{"context":"AppController","level":"warn","message":"teapot asked","service":"nest-api"}': "warn",
    '{"message": "no api key", "level": "ERROR", "component": "LiteLLM Proxy"}': "error",
    '{"level":30,"time":1732100000000,"pid":1,"msg":"pino"}': "info",
    '{"level":60,"msg":"pino"}': "fatal",
    '{"timestamp":"2026-11-20","error_severity":"FATAL","message":"role does not exist"}': "fatal",
    '{"log.level":"debug","message":"ecs"}': "debug",
    "12:52:24 - LiteLLM Router:INFO: router.py:7747 - Trying to fallback b/w models": "info",
    "2026/11/20 12:41:10 INFO mlflow.store.db.utils: Creating initial MLflow database tables...": "info",
    "2026-11-20 13:09:17,509 ERROR uvicorn.error Exception in ASGI application": "error",
    "[2026-11-20 12:47:04 +0000] [17035] [INFO] Listening at: http://127.0.0.1:5050 (17035)": "info",
    'ts=2026-11-20T12:57:43.814Z caller=main.go:551 level=info msg="Starting"': "info",
    '2026-11-20 13:00:38.446 UTC [1066] root@root FATAL:  role "root" does not exist': "fatal",
    "2026-11-20 13:00:38.257 UTC [1047] LOG:  listening on IPv4 address": "info",
    "[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok": "info",
    "2026/11/21 12:00:00 [error] 123#0: *1 connect() failed": "error",
    "Dec 10 07:51:15 LabSZ sshd[24324]: error: Received disconnect from 195.154.37.122": "error",
    "Dec 10 11:03:53 LabSZ sshd[25457]: fatal: Write failed": "fatal",
    "2016-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack": "info",
    "03-17 16:13:38.811  1702  2395 D WindowManager: printFreezingDisplayLogs": "debug",
    "\x1b[32minfo\x1b[39m: Server started": "info",
    "\x1b[31mERROR\x1b[0m boom": "error",
    "panic: runtime error: index out of range": "fatal",
}
SILENT = (
    "",
    "Traceback (most recent call last):",
    '  File "/srv/app/main.py", line 422, in run_asgi',
    "Triton is installed, but doesn't include CPU backend. Disabling Triton.",
    '127.0.0.1 - - [20/Nov/2026:12:47:09 +0000] "GET /error HTTP/1.1" 200 2',
    "Jun 14 15:16:02 combo sshd(pam_unix)[19937]: check pass; user unknown",
    "the error rate is low and no fatal thing happened",
    "NO_ERROR was returned, ERROR_CODE 0, std::error::Kind",
    "/srv/lib/dispatcher.py:138: FutureWarning: deprecated",
    '{"msg":"no level here, ERROR: none"}',
    '{"message":"\\"level\\":\\"error\\" is quoted"}',
    '{"level":"purple"}',
)


@pytest.mark.parametrize(("line", "level"), NAMED.items())
def test_a_level_that_is_named_is_found(line: str, level: str) -> None:
    assert level_of(line.encode()) == level


@pytest.mark.parametrize("line", SILENT)
def test_a_line_that_names_no_level_has_none(line: str) -> None:
    assert level_of(line.encode()) is None


def test_levels_are_few() -> None:
    """T-02: a label, so its values must be bounded, and spelled as Loki spells them."""
    assert set(LEVELS) == {"trace", "debug", "info", "warn", "error", "critical", "fatal"}
    assert set(NAMED.values()) <= set(LEVELS)
