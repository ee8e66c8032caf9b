"""What the collector is told."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sillok.cli.collector import agent_settings
from sillok.config.sillok import load
from sillok.errors import ConfigError

TARGET = {"LOKI_URL": "http://user:secret@monitoring:3100/loki/api/v1/push"}


def test_without_a_word_it_reads_what_a_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = agent_settings(load(variables=TARGET).settings)
    assert settings.data == Path("sillok-data/agent")
    assert [source.globs for source in settings.files] == [("/var/log/**/*.log", f"{tmp_path}/logs/*/*.log")]
    assert settings.docker is not None
    assert settings.host == socket.gethostname()
    assert (settings.target.url, settings.target.user) == ("http://monitoring:3100/loki/api/v1/push", "user")


def test_every_key_of_the_collector_arrives() -> None:
    text = """
agent:
  tenant: team
  bearer_token_file: /t
  ca_file: /ca
  host: queue-instance
  labels: {zone: a}
  files: [/a/*.log, {paths: /b/*.log, exclude: /b/x.log, service: b, job: c, labels: {zone: b}}]
  exclude: [/a/no.log]
  docker: {enabled: false}
  listen: 9101
  spool: 1MB
  batch: 2KB
  batch_wait: 1s
"""
    settings = agent_settings(load(text, variables=TARGET).settings, own_log="/data/log/*.log")
    assert (settings.target.tenant, settings.target.bearer_token_file) == ("team", Path("/t"))
    assert (settings.target.ca_file, settings.host, settings.docker) == (Path("/ca"), "queue-instance", None)
    plain, described, own = settings.files
    assert (plain.globs, plain.exclude, plain.labels) == (("/a/*.log",), ("/a/no.log",), (("zone", "a"),))
    assert (described.service, described.job, described.labels) == ("b", "c", (("zone", "b"),))
    assert described.exclude == ("/a/no.log", "/b/x.log")
    assert (own.globs, own.service, own.labels) == (("/data/log/*.log",), "sillok", (("zone", "a"),))
    assert (settings.listen, settings.spool_bytes, settings.batch_bytes) == ("127.0.0.1:9101", 1024**2, 2048)
    assert settings.batch_wait_s == 1.0


def test_without_a_target_there_is_no_collector() -> None:
    """T-08."""
    with pytest.raises(ConfigError, match="LOKI_URL is not set"):
        agent_settings(load().settings)


def test_the_collector_loads_nothing_of_the_store() -> None:
    """The agent's own distribution has none of these."""
    code = (
        "import sys\nimport sillok.cli.main, sillok.cli.collector, sillok.agent.run\n"
        "print(sorted({'chdb', 'pyarrow', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout == "[]\n"
