"""The data set: seeded, realistic, unique lines of about 268 bytes, with needles whose number is known.

A batch is what a collector sends: some thousand lines of one host, of several services, in order of time.
Every batch is made from (seed, number of the batch) alone, so that batches can be made in any order, by
several processes, and made again to check an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

SECOND_NS = 1_000_000_000
LINES_PER_BATCH = 5_000
SPAN_NS = 6 * 3600 * SECOND_NS
# T-12: a user's lines. Several, so that none is asked for twice: engines remember where a text was not.
NEEDLES = tuple(f"user_id_{number}" for number in range(123, 130))  # the other ids begin with 2 to 9
NEEDLE_EVERY = 100_000  # each in 1e-5 of the lines

# (service, level, share of the lines): the streams of one host.
SERVICES = (
    ("api-server", "info", 26),
    ("api-server", "error", 2),
    ("ticket-server", "info", 20),
    ("vllm", "info", 18),
    ("nginx", "info", 24),
    ("queue", "warn", 10),
)

_PATHS = ("orders", "seats/hold", "seats/confirm", "payments", "users/profile", "events/search", "queue/position")
_METHODS = ("GET", "GET", "GET", "POST", "POST", "PUT", "DELETE")
_STATUS = (200, 200, 200, 200, 201, 204, 304, 400, 401, 404, 409, 429, 500, 502, 503)
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 15; SM-S928N) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
    "okhttp/4.12.0",
    "python-httpx/0.28.1",
)
_MESSAGES = (
    "request completed",
    "seat held for the visitor",
    "payment authorised by the provider",
    "session refreshed",
    "position in the queue sent",
    "cache miss, asked the database",
)
_FAILURES = (
    "payment failed: the provider did not answer in time",
    "deadlock detected, transaction rolled back",
    "seat already taken by another session",
    "connection to redis lost, trying again",
)
_MODELS = ("qwen2.5-7b-instruct", "llama-3.1-8b-instruct", "bge-small-en-v1.5")


@dataclass(frozen=True, slots=True)
class Shape:
    """How much data, spread how: `lines` over six hours that end at `end_ns`, from `hosts` hosts."""

    lines: int
    hosts: int
    end_ns: int
    seed: int = 20261121

    @property
    def batches(self) -> int:
        return -(-self.lines // LINES_PER_BATCH)

    @property
    def streams(self) -> int:
        return self.hosts * len(SERVICES)

    @property
    def start_ns(self) -> int:
        return self.end_ns - SPAN_NS

    @property
    def needles(self) -> int:
        """How many lines hold each of `NEEDLES`."""
        return -(-self.lines // NEEDLE_EVERY)


@dataclass(frozen=True, slots=True)
class Line:
    time_ns: int
    service: int  # index into SERVICES
    text: str


def host_name(number: int) -> str:
    return f"host-{number:03d}"


def labels(host: int, service: int) -> dict[str, str]:
    """The labels of a stream."""
    name, level, _ = SERVICES[service]
    return {"job": "docker", "host": host_name(host), "service": name, "level": level}


def host_of(shape: Shape, batch: int) -> int:
    return batch % shape.hosts


def lines_of(shape: Shape, batch: int) -> Iterator[Line]:
    """The lines of a batch in order of time."""
    random = Random(f"{shape.seed}/{batch}")
    count = min(LINES_PER_BATCH, shape.lines - batch * LINES_PER_BATCH)
    # All hosts send at the same time: batches of one round cover the same window.
    rounds = -(-shape.batches // shape.hosts)
    window_ns = SPAN_NS // rounds
    begin_ns = shape.start_ns + (batch // shape.hosts) * window_ns
    step_ns = window_ns // LINES_PER_BATCH
    services = random.choices(range(len(SERVICES)), [share for _, _, share in SERVICES], k=count)
    for number, service in enumerate(services):
        time_ns = begin_ns + number * step_ns + random.randrange(step_ns)
        user = str(random.randrange(2_000_000, 10_000_000))
        place = (batch * LINES_PER_BATCH + number) % NEEDLE_EVERY
        if place < len(NEEDLES):
            user = NEEDLES[place].removeprefix("user_id_")
        yield Line(time_ns, service, _WRITERS[service](random, time_ns, user))


def _clock(time_ns: int) -> str:
    second = time_ns // SECOND_NS % 86_400
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def _address(random: Random) -> str:
    bits = random.getrandbits(24)
    return f"10.{bits >> 16}.{bits >> 8 & 255}.{bits & 255}"


def _api(random: Random, time_ns: int, user: str) -> str:
    return (
        f'{{"timestamp":"2026-11-20T{_clock(time_ns)}.{time_ns // 1000 % 1_000_000:06d}Z","service":"api-server",'
        f'"level":"info","message":"{random.choice(_MESSAGES)}","user":"user_id_{user}",'
        f'"trace_id":"{random.getrandbits(128):032x}","method":"{random.choice(_METHODS)}",'
        f'"url":"/api/v1/{random.choice(_PATHS)}/{random.getrandbits(32)}","status":{random.choice(_STATUS)},'
        f'"durationMs":{random.expovariate(0.02):.2f}}}'
    )


def _failure(random: Random, time_ns: int, user: str) -> str:
    return (
        f'{{"timestamp":"2026-11-20T{_clock(time_ns)}.{time_ns // 1000 % 1_000_000:06d}Z","service":"api-server",'
        f'"level":"error","message":"{random.choice(_FAILURES)}","user":"user_id_{user}",'
        f'"trace_id":"{random.getrandbits(128):032x}","attempt":{random.randrange(1, 6)},'
        f'"amount":{random.randrange(1000, 900_000)},"durationMs":{random.expovariate(0.002):.2f}}}'
    )


def _ticket(random: Random, time_ns: int, user: str) -> str:
    return (
        f"ts=2026-11-20T{_clock(time_ns)}.{time_ns // 1_000_000 % 1000:03d}Z "
        f'caller=hold.go:{random.randrange(40, 400)} level=info msg="{random.choice(_MESSAGES)}" '
        f"user=user_id_{user} trace_id={random.getrandbits(128):032x} "
        f"event=concert-{random.randrange(500)} block={random.choice('ABCDEFGH')} row={random.randrange(60)} "
        f"seat={random.randrange(90)} price={random.randrange(30, 260)}000 hold_s={random.randrange(600)} "
        f"channel={random.choice(('web', 'ios', 'android'))} req={random.getrandbits(48):012x} "
        f"duration={random.expovariate(0.05):.3f}ms"
    )


def _vllm(random: Random, time_ns: int, user: str) -> str:
    return (
        f"(APIServer pid={random.randrange(1000, 60_000)}) INFO 11-20 {_clock(time_ns)} "
        f"[logger.py:{random.randrange(30, 90)}] Received request cmpl-{random.getrandbits(128):032x}-0: "
        f"user=user_id_{user} model={random.choice(_MODELS)} prompt_tokens={random.randrange(4000)} "
        f"max_tokens={random.randrange(16, 2048)} temperature={random.random():.2f} top_p={random.random():.2f} "
        f"seed={random.getrandbits(31)} stream={random.choice(('true', 'false'))} n=1 "
        f"queue_s={random.expovariate(3):.3f}"
    )


def _nginx(random: Random, time_ns: int, user: str) -> str:
    return (
        f"{_address(random)} - user_id_{user} [20/Nov/2026:{_clock(time_ns)} +0900] "
        f'"{random.choice(_METHODS)} /{random.choice(_PATHS)}?id={random.getrandbits(40)}&t={random.getrandbits(48):x} '
        f'HTTP/1.1" {random.choice(_STATUS)} {random.randrange(90, 90_000)} '
        f'"https://ticket.example.org/{random.choice(_PATHS)}" "{random.choice(_AGENTS)}" '
        f"rt={random.expovariate(5):.3f} up={_address(random)}:8000"
    )


def _queue(random: Random, time_ns: int, user: str) -> str:
    return (
        f"2026-11-20 {_clock(time_ns)},{time_ns // 1_000_000 % 1000:03d} WARN  [worker-{random.randrange(64)}] "
        f"com.example.queue.Gate - visitor user_id_{user} from {_address(random)} waits at position "
        f"{random.randrange(90_000)} of {random.randrange(90_000, 120_000)} token={random.getrandbits(160):040x} "
        f"lag={random.randrange(5000)}ms shard={random.randrange(32)} "
        f"session={random.getrandbits(48):012x} partition={random.randrange(12)} offset={random.getrandbits(30)}"
    )


_WRITERS = (_api, _failure, _ticket, _vllm, _nginx, _queue)
