"""What the collector is told, from the configuration."""

from __future__ import annotations

import socket
from pathlib import Path

from sillok.agent.settings import AgentSettings, DockerSource, FileSource, target_from_url
from sillok.config.sillok import Settings
from sillok.model.labels import LabelSet, label_set

AGENT_FOLDER = "agent"
OWN_SERVICE = "sillok"
SECOND_NS = 1_000_000_000


def agent_settings(settings: Settings, *, own_log: str | None = None) -> AgentSettings:
    """The settings of the collector; `own_log` is a glob of Sillok's own log files.

    Raises:
        ConfigError: the target is missing or malformed (T-08).
    """
    agent = settings.agent
    target = target_from_url(
        agent.loki_url,
        bearer_token_file=Path(agent.bearer_token_file) if agent.bearer_token_file else None,
        tenant=agent.tenant or None,
        ca_file=Path(agent.ca_file) if agent.ca_file else None,
    )
    files = [
        FileSource(
            globs=tuple(_absolute(glob) for glob in entry.paths),
            job=entry.job,
            exclude=tuple(_absolute(glob) for glob in (*agent.exclude, *entry.exclude)),
            service=entry.service,
            labels=_joined(agent.labels, entry.labels),
        )
        for entry in agent.files
    ]
    if own_log:
        files.append(FileSource((own_log,), job=OWN_SERVICE, service=OWN_SERVICE, labels=agent.labels))
    return AgentSettings(
        data=Path(settings.data) / AGENT_FOLDER,
        target=target,
        files=tuple(files),
        docker=DockerSource(host=agent.docker.host, labels=agent.labels) if agent.docker.enabled else None,
        host=agent.host or socket.gethostname(),
        listen=agent.listen or None,
        spool_bytes=agent.spool_bytes,
        batch_bytes=agent.batch_bytes,
        batch_wait_s=agent.batch_wait_ns / SECOND_NS,
    )


def _absolute(glob: str) -> str:
    return str(Path.cwd() / glob)


def _joined(common: LabelSet, own: LabelSet) -> LabelSet:
    return label_set({**dict(common), **dict(own)})
