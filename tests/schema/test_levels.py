"""The level of a line is the one that Loki detects."""

from __future__ import annotations

import itertools
import json
import random
import time
from pathlib import Path

import httpx
import pytest

from sillok.model.timerange import TimeRange
from sillok.schema import logs
from sillok.store.engine import Engine
from sillok.store.writer import Writer
from tests.peers import SHARED, missing, real_loki
from tests.store.test_writer import NOON, rows

GOLDEN = Path(__file__).parent / "golden" / "levels.txt"
_tenants = itertools.count()

# Pieces that lines are thrown together from: what a detector may stumble over.
PIECES = (
    *(
        "info",
        "error",
        "warn",
        "err",
        "WARN",
        "Error",
        "debug",
        "inf",
        "wrn",
        "lvl=dbg",
        "level=",
        "level",
        "severity=",
    ),
    *("log.level=", '"level":"', '"lvl": "', '"severity":', 'msg="', "a=b", "=x", "=", '"', '\\"', " ", "\t"),
    *("{", "}", "[", "]", "(", ")", "/", ":", ",", "x"),
)


def detected(engine: Engine, lines: list[str], hint: str = "") -> list[str]:
    """The level that is stored with each line."""
    tenant = f"levels-{next(_tenants)}"
    encoded = [line.encode() for line in lines]
    Writer(engine).append(rows(tenant, encoded, level_hint=[hint] * len(lines)))
    statement = logs.select_lines(tenant, TimeRange(NOON, NOON + len(lines)), newest_first=False)
    answer = engine.query(statement)
    assert answer["line"].to_pylist() == lines
    levels: list[str] = answer["level"].to_pylist()
    return levels


def golden() -> list[tuple[str, str, str]]:
    """(line, what Loki says, what we say)."""
    cases = []
    for row in GOLDEN.read_text().splitlines():
        if row and not row.startswith("#"):
            loki, ours, line = row.split("\t")
            cases.append((json.loads(line), loki, loki if ours == "=" else ours))
    return cases


def test_a_line_gets_the_level_that_loki_gives_it(engine: Engine) -> None:
    cases = golden()
    found = detected(engine, [line for line, _, _ in cases])
    wrong = [(line, ours, level) for (line, _, ours), level in zip(cases, found, strict=True) if ours != level]
    assert wrong == []


@pytest.mark.parametrize(("hint", "level"), [("warn", "warn"), ("my-own", "my-own"), ("-", "")])
def test_a_hint_is_stronger_than_the_line(engine: Engine, hint: str, level: str) -> None:
    assert detected(engine, ["level=error", "nothing", '{"level":"info","a":"debug"}'], hint) == [level] * 3


@pytest.mark.slow
def test_real_and_odd_lines_get_the_level_of_the_real_loki(engine: Engine, tmp_path: Path) -> None:
    samples = sorted((SHARED / "data" / "loghub").glob("*.log"))
    if not samples:
        missing("the sample logs are not in ../shared/data/loghub")
    lines = [line for path in samples for line in path.read_text(errors="replace").splitlines()[:500] if line.strip()]
    seed = random.Random(5)
    odd = ("".join(seed.choices(PIECES, k=seed.randint(1, 9))) for _ in range(4000))
    lines += [line for line in odd if line.strip()]
    with real_loki(tmp_path) as url:
        answers = asked(url, lines)
    found = detected(engine, lines)
    wrong = [case for case in zip(lines, answers, found, strict=True) if case[1] != case[2]]
    # What is left is malformed JSON; see "Differs" in schema/levels.py.
    assert len(wrong) <= len(lines) // 1000, wrong
    assert all(line.startswith("{") for line, _, _ in wrong), wrong


def asked(url: str, lines: list[str]) -> list[str]:
    """Loki's `detected_level` of each line."""
    begin = time.time_ns() - 3600 * 10**9
    with httpx.Client(base_url=url, timeout=60) as client:
        for start in range(0, len(lines), 4000):
            values = [[str(begin + start + n), line] for n, line in enumerate(lines[start : start + 4000])]
            pushed = client.post("/loki/api/v1/push", json={"streams": [{"stream": {"job": "l"}, "values": values}]})
            assert pushed.status_code == 204, pushed.text
        levels: dict[int, str] = {}
        for start in range(0, len(lines), 4000):
            params = {"query": '{job="l"}', "start": begin + start, "end": begin + start + 4000, "limit": 5000}
            answer = client.get("/loki/api/v1/query_range", params=params).raise_for_status().json()
            for stream in answer["data"]["result"]:
                for at, *_ in stream["values"]:
                    levels[int(at) - begin] = stream["stream"]["detected_level"]
    return [levels[number] for number in range(len(lines))]
