"""A server's life: start, stop, start again, on one address or on several; never twice on one folder."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.api import SECOND_NS, Api
from tests.e2e.system import SILLOK, STOP_S, Server
from tests.peers import is_ready
from tests.processes import Process, free_port, tree, wait_until

START_NS = time.time_ns() // SECOND_NS * SECOND_NS - 600 * SECOND_NS


def numbered(first: int, end: int) -> list[tuple[int, str]]:
    return [(START_NS + number, f"line {number:06d}") for number in range(first, end)]


def test_a_second_start_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as first:
        first.api.must_push({"job": "life"}, numbered(0, 100))
        before = first.api.get("/loki/api/v1/series", **{"match[]": '{job="life"}'})
        first.stop(timeout_s=STOP_S)
    with Server(tmp_path / "data") as second:
        second.api.must_push({"job": "life"}, numbered(100, 200))
        after = second.api.get("/loki/api/v1/series", **{"match[]": '{job="life"}'})
        found = second.api.lines('{job="life"}')
        second.stop(timeout_s=STOP_S)

    assert [line for _, line in numbered(0, 200)] == found
    assert before == after


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_server_under_load_stops_in_time_and_keeps_what_it_acknowledged(tmp_path: Path, by: signal.Signals) -> None:
    acknowledged: list[int] = []
    with Server(tmp_path / "data") as server:
        url = server.url

        def push(first: int) -> None:
            api = Api(url)
            for number in range(first, first + 1_000_000, 50):
                try:
                    answer = api.push({"job": "life", "sender": str(first)}, numbered(number, number + 50))
                except Exception:  # the server went away
                    return
                if answer.status_code == 204:
                    acknowledged.extend(range(number, number + 50))

        threads = [threading.Thread(target=push, args=(first * 1_000_000,)) for first in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) >= 2000, timeout_s=20, what="lines")
        family = tree(server.pid)
        server.stop(timeout_s=STOP_S, by=by)
        for thread in threads:
            thread.join()

    assert server.returncode == 0
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]
    with Server(tmp_path / "data") as server:
        found = server.api.lines('{job="life"}', start_ns=START_NS, end_ns=START_NS + 10 * SECOND_NS)
    assert len(found) == len(set(found))
    assert {f"line {number:06d}" for number in acknowledged} <= set(found)


def test_a_live_tail_does_not_hold_a_stop_up(tmp_path: Path) -> None:
    import websockets.sync.client

    with Server(tmp_path / "data") as server:
        address = f"ws://127.0.0.1:{server.port}/loki/api/v1/tail?query=%7Bjob%3D%22life%22%7D"
        with websockets.sync.client.connect(address):
            took_s = server.stop(timeout_s=STOP_S)

    assert took_s < STOP_S
    assert server.returncode == 0


def test_a_folder_that_is_in_use_is_refused_by_name(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as first:
        second = Process(
            [SILLOK, "serve", "--data", tmp_path / "data", "--listen", f"127.0.0.1:{free_port()}"],
            log=tmp_path / "second.log",
        )
        with second:
            wait_until(lambda: second.returncode is not None, timeout_s=15, what="the refusal")
        assert is_ready(f"{first.url}/ready")

    assert second.returncode != 0
    assert str(tmp_path / "data") in second.output()
    assert str(first.pid) in second.output()
    assert "Traceback" not in second.output()


def test_a_port_that_is_taken_is_refused_by_name(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as first:
        second = Process(
            [SILLOK, "serve", "--data", tmp_path / "other", "--listen", f"127.0.0.1:{first.port}"],
            log=tmp_path / "second.log",
        )
        with second:
            wait_until(lambda: second.returncode is not None, timeout_s=15, what="the refusal")

    assert second.returncode != 0
    assert str(first.port) in second.output()
    assert "Traceback" not in second.output()


def test_several_known_ports_open_beside_the_first(tmp_path: Path) -> None:
    """A-08, T-17."""
    ports = [free_port() for _ in range(3)]
    options = [word for port in ports for word in ("--listen", f"127.0.0.1:{port}")]
    with Server(tmp_path / "data", *options) as server:
        for port in (server.port, *ports):
            api = Api(f"http://127.0.0.1:{port}")
            api.must_push({"job": "ports"}, [(START_NS + port, f"to {port}")])
            assert is_ready(f"http://127.0.0.1:{port}/ready")
        found = server.api.lines('{job="ports"}')
        server.stop(timeout_s=STOP_S)

    assert sorted(f"to {port}" for port in (server.port, *ports)) == sorted(found)


def test_a_server_writes_below_its_folder_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with Server(tmp_path / "data", env={"HOME": str(home), "TMPDIR": str(home)}) as server:
        server.api.must_push({"job": "life"}, numbered(0, 10))
        server.stop(timeout_s=STOP_S)

    assert not list(home.iterdir())
    assert {"data", "data.log", "home"} == {path.name for path in tmp_path.iterdir()}


def test_lines_are_found_as_soon_as_they_are_acknowledged(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        api = server.api
        for number in range(50):
            api.must_push({"job": "read-your-writes"}, [(START_NS + number, f"line {number}")])
            found = api.page('{job="read-your-writes"}', start_ns=START_NS + number, end_ns=START_NS + number + 1)
            assert [(START_NS + number, f"line {number}")] == found


def test_the_same_bytes_sent_again_are_stored_once_also_after_a_restart(tmp_path: Path) -> None:
    body = {"streams": [{"stream": {"job": "again"}, "values": [[str(START_NS), "once"], [str(START_NS), "once"]]}]}
    with Server(tmp_path / "data") as server:
        for _ in range(3):
            assert server.api.http.post("/loki/api/v1/push", json=body).status_code == 204
        server.kill()
    with Server(tmp_path / "data") as server:
        assert server.api.http.post("/loki/api/v1/push", json=body).status_code == 204
        found = server.api.lines('{job="again"}')

    # Two equal lines of one push stay two lines.
    assert found == ["once", "once"]


def test_lines_of_any_age_and_order_are_kept(tmp_path: Path) -> None:
    """T-07: `reject_old_samples: false`; one push may span many days."""
    day_ns = 86_400 * SECOND_NS
    entries = [(START_NS - day * day_ns, f"{day} days ago") for day in (3, 0, 12, 7, 1, 9)]
    with Server(tmp_path / "data") as server:
        server.api.must_push({"job": "late"}, entries)
        server.kill()
    with Server(tmp_path / "data") as server:
        found = server.api.lines('{job="late"}', start_ns=START_NS - 13 * day_ns)

    assert [f"{day} days ago" for day in (12, 9, 7, 3, 1, 0)] == found
