"""The real programs beside us (Loki, logcli, loki-canary, promtail, VictoriaLogs): found and unpacked once.

They are looked for in the folder that `SILLOK_PEERS` names, then in `../shared/peers`: either the programs
themselves, or `peers.tar.xz`, which is unpacked into `build/peers`. Without them a test skips and says so;
where `../shared` exists a skip is a failure.
"""

from __future__ import annotations

import fcntl
import os
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import Process, free_port

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
UNPACKED = ROOT / "build" / "peers"
ARCHIVE = "peers.tar.xz"


def program(name: str) -> Path:
    """The path of the peer `name`; skips the test, or fails it where `../shared` exists."""
    path = find(name)
    if path is None:
        missing(f"the program {name} is neither in $SILLOK_PEERS nor in ../shared/peers")
    return path


def missing(reason: str) -> None:
    """Skip for `reason`; fail for it where everything should be there."""
    if SHARED.exists():
        pytest.fail(reason)
    pytest.skip(reason)


def find(name: str) -> Path | None:
    """The path of the peer `name`, unpacked now if need be; None when it is nowhere."""
    for folder in _folders():
        for path in (folder / name, UNPACKED / name):
            if path.is_file() and os.access(path, os.X_OK):
                return path
            if (folder / ARCHIVE).is_file():
                _unpack(folder / ARCHIVE)
    return None


def _folders() -> Iterator[Path]:
    named = os.environ.get("SILLOK_PEERS")
    if named:
        yield Path(named)
    yield SHARED / "peers"


def _unpack(archive: Path) -> None:
    """Unpack once, also when several test processes ask at the same time."""
    UNPACKED.mkdir(parents=True, exist_ok=True)
    done = UNPACKED / ".unpacked"
    with (UNPACKED / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return
        with tarfile.open(archive) as tar:
            tar.extractall(UNPACKED, filter="data")
        done.touch()


LOKI_CONFIG = """\
auth_enabled: {auth}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {port}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: {grpc_port}
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: {folder}
  replication_factor: 1
  ring:
    instance_addr: 127.0.0.1
    kvstore:
      store: inmemory
schema_config:
  configs:
    - from: 2020-01-01
      store: tsdb
      object_store: filesystem
      schema: v13
      index: {{prefix: index_, period: 24h}}
storage_config:
  use_thanos_objstore: false
  filesystem:
    directory: {folder}/chunks
ingester:
  query_store_max_look_back_period: -1ns
  max_chunk_age: 8760h
  chunk_idle_period: 8760h
  lifecycler:
    min_ready_duration: 0s
    join_after: 0s
    final_sleep: 0s
querier:
  query_ingesters_within: 0
query_scheduler:
  use_scheduler_ring: false
frontend:
  scheduler_address: 127.0.0.1:{grpc_port}
  scheduler_dns_lookup_period: 1s
frontend_worker:
  scheduler_address: 127.0.0.1:{grpc_port}
  dns_lookup_duration: 1s
query_range:
  cache_results: false
  cache_index_stats_results: false
  cache_volume_results: false
  cache_series_results: false
  cache_label_results: false
limits_config:
  allow_structured_metadata: true
  reject_old_samples: false
  volume_enabled: true
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
analytics:
  reporting_enabled: false
pattern_ingester:
  enabled: false
"""


@contextmanager
def real_loki(folder: Path, *, auth: bool = False) -> Iterator[str]:
    """A real Loki with its data in `folder`; yields its address once it answers."""
    loki = program("loki")
    port, grpc_port = free_port(), free_port()
    config = folder / "loki.yaml"
    config.write_text(
        LOKI_CONFIG.format(auth="true" if auth else "false", port=port, grpc_port=grpc_port, folder=folder)
    )
    url = f"http://127.0.0.1:{port}"
    with Process([loki, f"-config.file={config}"], log=folder / "loki.log", cwd=folder) as process:
        process.wait_for(lambda: is_ready(f"{url}/ready"), timeout_s=60, what="Loki to be ready")
        yield url
        process.stop(timeout_s=30)


def is_ready(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
