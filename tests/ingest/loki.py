"""The real Loki as an oracle for pushes: tenants with different limits, and what each limit is called here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sillok.model.limits import Limits
from tests.peers import LOKI_CONFIG, is_ready, program
from tests.processes import Process, free_port

# tenant: (Loki's overrides, the same as ours)
TENANTS: dict[str, tuple[str, Limits]] = {
    "usual": ("{}", Limits()),
    "no-old": ("{reject_old_samples: true}", Limits(reject_old_samples=True)),
    "short": ("{max_line_size: 100}", Limits(max_line_size_bytes=100)),
    "cut": (
        "{max_line_size: 100, max_line_size_truncate: true}",
        Limits(max_line_size_bytes=100, max_line_size_truncate=True),
    ),
    "no-metadata": ("{allow_structured_metadata: false}", Limits(allow_structured_metadata=False)),
    "little-metadata": (
        "{max_structured_metadata_entries_count: 2, max_structured_metadata_size: 60B}",
        Limits(max_structured_metadata_entries_count=2, max_structured_metadata_size_bytes=60),
    ),
    "small-labels": (
        "{max_label_name_length: 10, max_label_value_length: 12, max_label_names_per_series: 3}",
        Limits(max_label_name_length=10, max_label_value_length=12, max_label_names_per_series=3),
    ),
    "no-service": ("{discover_service_name: []}", Limits(discover_service_name=())),
    "no-levels": ("{discover_log_levels: false}", Limits(discover_log_levels=False)),
    "own-levels": ("{log_level_fields: [prio, severity]}", Limits(log_level_fields=("prio", "severity"))),
    "few-streams": ("{max_global_streams_per_user: 2}", Limits(max_global_streams_per_user=2)),
    "slow": (
        "{ingestion_rate_mb: 0.001, ingestion_burst_size_mb: 0.001}",
        Limits(ingestion_rate_mb=0.001, ingestion_burst_size_mb=0.001),
    ),
}


def limits_of(tenant: str) -> Limits:
    return TENANTS[tenant][1]


@contextmanager
def limited_loki(folder: Path) -> Iterator[str]:
    """A real Loki with TENANTS; yields its address once it answers."""
    loki = program("loki")
    port, grpc_port = free_port(), free_port()
    overrides = "".join(f"  {tenant}: {limits}\n" for tenant, (limits, _) in TENANTS.items())
    (folder / "overrides.yaml").write_text(f"overrides:\n{overrides}")
    config = folder / "loki.yaml"
    config.write_text(
        LOKI_CONFIG.format(auth="true", port=port, grpc_port=grpc_port, folder=folder)
        + f"runtime_config:\n  file: {folder}/overrides.yaml\n"
    )
    url = f"http://127.0.0.1:{port}"
    with Process([loki, f"-config.file={config}"], log=folder / "loki.log", cwd=folder) as process:
        process.wait_for(lambda: is_ready(f"{url}/ready"), timeout_s=60, what="Loki to be ready")
        yield url
        process.stop(timeout_s=30)
