"""Containers of a real Docker engine (T-04), and the places and fragments of their logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.agent.batch import Batch
from sillok.agent.labels import StreamLabels
from sillok.agent.sources.docker import ANCHOR_NS, Place
from sillok.agent.sources.formats import MAX_LINE_BYTES
from sillok.agent.sources.fragments import Lines
from sillok.wire.docker_logs import Fragment
from tests.agent.dockerd import Docker, engine
from tests.agent.process import start, wait_for_status
from tests.agent.store import Store, decode
from tests.processes import Process, wait_until


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with engine() as made:
        yield made


@pytest.fixture
def clean(docker: Docker) -> Docker:
    docker.remove_all()
    return docker


def collector(folder: Path, store: Store, docker: Docker) -> Process:
    return start(folder, store.url, docker=f"DockerSource({docker.host!r})", batch_wait_s=0.1)


def counted(lines: int, pause: str = "0.01") -> str:
    return f"i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); sleep {pause}; done"


def test_containers_are_found_whether_they_run_or_not(clean: Docker, tmp_path: Path) -> None:
    """T-04, T-02: discovered automatically, stopped ones included, with their labels."""
    docker = clean
    docker.run("stopped", 'echo \'{"level":"error","msg":"before"}\'; echo to stderr >&2')
    docker.wait("stopped")
    with Store() as store, collector(tmp_path, store, docker) as agent:
        wait_until(lambda: len(store.lines) == 2, timeout_s=10, what="the stopped container")
        docker.run("api-1", "echo INFO up; sleep 100", "--label", "com.docker.compose.service=api")
        wait_until(lambda: len(store.lines) == 3, timeout_s=10, what="the new container")
        agent.stop(timeout_s=2)
    labels = {line.text: line.labels for line in store.lines}
    common = 'host="host-a", job="docker"'
    assert labels[b'{"level":"error","msg":"before"}'] == (
        f'{{container="stopped", {common}, level="error", service="stopped"}}'
    )
    assert labels[b"to stderr"] == f'{{container="stopped", {common}, service="stopped"}}'
    assert labels[b"INFO up"] == f'{{container="api-1", {common}, level="info", service="api"}}'
    age_s = time.time() - store.lines[2].time_ns / 1e9
    assert 0 < age_s < 30  # Docker's own time of the line.


def test_containers_that_live_for_a_moment_are_not_missed(clean: Docker, tmp_path: Path) -> None:
    with Store() as store, collector(tmp_path, store, clean) as agent:
        wait_for_status(tmp_path, read=0)
        time.sleep(1)
        for number in range(5):
            clean("run", "--rm", "--network", "none", "busybox:local", "echo", f"moment {number}")
        wait_until(lambda: len(store.lines) == 5, timeout_s=10, what="five short lives")
        agent.stop(timeout_s=2)
    assert sorted(store.texts()) == [b"moment %d" % number for number in range(5)]


def test_long_lines_are_joined_and_restarts_are_followed(clean: Docker, tmp_path: Path) -> None:
    docker = clean
    docker.run("long", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo after; sleep 100")
    with Store() as store, collector(tmp_path, store, docker) as agent:
        wait_until(lambda: len(store.lines) == 2, timeout_s=10, what="the first life")
        docker("restart", "-t", "0", "long")
        wait_until(lambda: len(store.lines) == 4, timeout_s=10, what="the second life")
        agent.stop(timeout_s=2)
    assert store.texts() == [b"x" * 40000, b"after"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("terminal", [False, True])
def test_every_line_comes_once_though_the_collector_is_killed(
    clean: Docker, tmp_path: Path, driver: str, terminal: bool
) -> None:
    """`json-file` is read from disk, `local` through the API, with and without a terminal."""
    options = ["--log-driver", driver, *(["-t"] if terminal else [])]
    clean.run("app", counted(600), *options)
    with Store() as store:
        for _ in range(4):
            with collector(tmp_path, store, clean) as agent:
                time.sleep(1.7)
                agent.kill()
        clean.wait("app")
        with collector(tmp_path, store, clean) as agent:
            wait_until(lambda: len(store.lines) >= 600, timeout_s=20, what="600 lines")
            time.sleep(1)
            agent.stop(timeout_s=2)
    assert sorted(store.texts()) == sorted(b"line %d" % number for number in range(600))


@pytest.mark.slow
def test_dockers_own_rotation_loses_nothing(clean: Docker, tmp_path: Path) -> None:
    with Store() as store, collector(tmp_path, store, clean) as agent:
        wait_for_status(tmp_path, read=0)
        options = ("--log-opt", "max-size=20k", "--log-opt", "max-file=3")
        clean.run("app", counted(2000, pause="0.001"), *options)
        wait_until(lambda: len(store.lines) >= 2000, timeout_s=60, what="2000 lines")
        time.sleep(1)
        agent.stop(timeout_s=2)
    assert store.texts() == [b"line %d" % number for number in range(2000)]


def test_a_renamed_container_has_its_new_name(clean: Docker, tmp_path: Path) -> None:
    clean.run("before", "echo one; sleep 3; echo two; sleep 100")
    with Store() as store, collector(tmp_path, store, clean) as agent:
        wait_until(lambda: store.lines, timeout_s=10, what="the first line")
        clean("rename", "before", "behind")
        wait_until(lambda: len(store.lines) == 2, timeout_s=10, what="the second line")
        agent.stop(timeout_s=2)
    assert 'container="before"' in store.lines[0].labels
    assert 'container="behind"' in store.lines[1].labels
    assert 'service="behind"' in store.lines[1].labels


def test_an_engine_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    with Store() as store, start(tmp_path, store.url, docker="DockerSource('unix:///nowhere/docker.sock')") as agent:
        wait_for_status(tmp_path, read=0)
        time.sleep(0.5)
        agent.stop(timeout_s=2)
        assert "WARNING" not in agent.output()


# Without an engine.


def lines_of(batch: Batch) -> list[tuple[bytes, int, dict[str, str]]]:
    return [(line.text, line.offset, dict(line.metadata)) for line in decode(batch.seal().body)]


def new_lines() -> Lines:
    return Lines("container:x", StreamLabels({"container": "x"}, ()))


def test_two_streams_that_interleave_are_joined_apart() -> None:
    batch, lines = Batch(), new_lines()
    for offset, (stream, text, ends) in enumerate(
        [("stdout", b"a1", False), ("stderr", b"b1", False), ("stdout", b"a2", True), ("stderr", b"b2", True)]
    ):
        lines.add(Fragment(stream, 1, text, ends), offset, batch)
    assert lines_of(batch) == [(b"a1a2", 0, {}), (b"b1b2", 1, {})]
    assert lines.as_json() == {}


def test_an_open_line_survives_a_restart() -> None:
    first = new_lines()
    first.add(Fragment("stdout", 5, b"\xff half", False), 7, Batch())
    second, batch = new_lines(), Batch()
    second.restore(first.as_json())
    second.add(Fragment("stdout", 6, b" whole", True), 9, batch)
    assert lines_of(batch) == [(b"\xff half whole", 7, {})]


def test_a_line_without_bound_is_split_and_marked() -> None:
    batch, lines = Batch(), new_lines()
    piece = b"x" * 16384
    for number in range(40):
        lines.add(Fragment("stdout", 1, piece, number == 39), number, batch)
    found = lines_of(batch)
    assert b"".join(text for text, _, _ in found) == piece * 40
    assert [metadata["line_part"] for _, _, metadata in found] == ["1", "2", "3/3"]
    assert all(len(text) <= MAX_LINE_BYTES for text, _, _ in found)


@given(
    steps=st.lists(st.integers(-ANCHOR_NS // 2, ANCHOR_NS), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 30), max_size=8),
)
def test_reading_through_the_api_goes_on_exactly_behind_what_was_passed(steps: list[int], cuts: list[int]) -> None:
    """Times may be equal, and slightly out of order; each cut is a restart."""
    times: list[int] = []
    highest = 10 * ANCHOR_NS
    for step in steps:
        times.append(highest + step)
        highest = max(highest, times[-1])
    passed: list[int] = []
    place = Place()
    for cut in [*cuts, len(times)]:
        answer = [(at, time_ns) for at, time_ns in enumerate(times) if time_ns >= place.since_ns][place.skip :]
        for at, time_ns in answer[:cut]:
            passed.append(at)
            place.passed(time_ns)
        place = Place(**place.as_json())
    assert passed == list(range(len(passed)))
    assert len(passed) == len(times)
