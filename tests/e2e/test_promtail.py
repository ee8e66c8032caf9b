"""promtail, unchanged: it follows a file and pushes to us."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.api import Api
from tests.peers import program
from tests.processes import Process, wait_until

CONFIG = """\
server: {{disable: true}}
positions: {{filename: {folder}/positions.yaml, sync_period: 1s}}
clients:
  - url: {url}/loki/api/v1/push
    batchwait: 200ms
scrape_configs:
  - job_name: files
    static_configs:
      - targets: [localhost]
        labels: {{job: {job}, host: backend-instance, __path__: {folder}/logs/*.log}}
    pipeline_stages:
      - json: {{expressions: {{level: level, time: timestamp, user: user_id}}}}
      - labels: {{level: }}
      - structured_metadata: {{user: }}
      - timestamp: {{source: time, format: RFC3339Nano}}
"""


def line(number: int) -> str:
    level = "error" if number % 10 == 0 else "info"
    return (
        f'{{"service":"api-server","level":"{level}","message":"Ticketing opened {number}",'
        f'"user_id":"user_{number}","timestamp":"2026-11-20T13:00:{number % 60:02d}.{number:06d}Z"}}'
    )


def test_promtail_delivers_a_file_that_grows(server: str, api: Api, job: str, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "api.log"
    log.write_text("".join(f"{line(number)}\n" for number in range(3000)))
    config = tmp_path / "promtail.yaml"
    config.write_text(CONFIG.format(folder=tmp_path, url=server, job=job))
    hour = 1_795_179_600 * 1_000_000_000  # 2026-11-20T13:00:00Z
    day = {"start_ns": hour, "end_ns": hour + 3600 * 1_000_000_000}

    with Process([program("promtail"), f"-config.file={config}"], log=tmp_path / "promtail.log") as promtail:
        wait_until(lambda: len(api.lines(f'{{job="{job}"}}', **day)) >= 3000, timeout_s=30, what="the file's lines")
        with log.open("a") as file:
            file.writelines(f"{line(number)}\n" for number in range(3000, 3100))
        wait_until(lambda: len(api.lines(f'{{job="{job}"}}', **day)) >= 3100, timeout_s=30, what="the new lines")
        promtail.stop(timeout_s=30)

    found = api.lines(f'{{job="{job}"}}', **day)
    assert {line(number) for number in range(3100)} == set(found)
    assert len(found) == 3100
    errors = api.lines(f'{{job="{job}", level="error", host="backend-instance"}}', **day)
    assert {line(number) for number in range(0, 3100, 10)} == set(errors)
