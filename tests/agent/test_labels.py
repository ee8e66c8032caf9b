"""V-04, T-02: which service a path belongs to."""

from __future__ import annotations

import pytest

from sillok.agent.labels import StreamLabels, service_of_path, stem


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/home/me/project/logs/vllm/x.log", "vllm"),
        ("/home/me/project/logs/vllm/deep/er/x.log", "vllm"),
        ("/var/log/dpkg.log", "dpkg"),
        ("/var/log/nginx/access.log", "nginx"),
        ("/var/log/postgresql/postgresql-15-main.log", "postgresql"),
        ("/srv/app/logs/app-2026-11-21.log", "app"),
        ("/srv/app/logs/app.log.1", "app"),
        ("/srv/app/logs/app.log.2.gz", "app"),
        ("/srv/log/archive/logs/x.log", "x"),
        ("/srv/shop/output.txt", "shop"),
        ("/x.log", "x"),
    ],
)
def test_the_service_is_the_folder_or_the_file(path: str, service: str) -> None:
    assert service_of_path(path) == service


def test_a_day_is_no_new_service() -> None:
    assert {stem(f"app-2026-11-{day:02}.log") for day in range(1, 31)} == {"app"}


def test_labels_of_the_configuration_win_and_are_sorted() -> None:
    labels = StreamLabels({"service": "x", "host": "a"}, (("host", "queue-instance"), ("team", "t")))
    assert labels.text("error") == '{host="queue-instance", level="error", service="x", team="t"}'
    assert labels.text(None) == '{host="queue-instance", service="x", team="t"}'


def test_a_renamed_container_takes_its_service_along() -> None:
    bare = StreamLabels({"service": "old", "container": "old"}, ())
    assert bare.renamed("new").text(None) == '{container="new", service="new"}'
    composed = StreamLabels({"service": "api", "container": "p-api-1"}, ())
    assert composed.renamed("p-api-2").text(None) == '{container="p-api-2", service="api"}'
