"""Parameters of Loki's API: times, durations, limits, directions, in all the forms that Loki reads.

Source: Loki pkg/loghttp/params.go, pkg/loghttp/query.go. Error texts are Loki's, down to Go's `strconv`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection, Request

from sillok.errors import BadRequest
from sillok.http.body import BodyReader
from sillok.model.timerange import TimeRange

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS

FLAGS_HEADER = "x-loki-response-encoding-flags"
CATEGORIZE = "categorize-labels"

DEFAULT_LIMIT = 100
DEFAULT_SINCE_NS = HOUR_NS
MAX_LIMIT = 2**32 - 1
MAX_FIELDS = 1000
MAX_DELAY_S = 5
DEFAULT_STEPS = 250
SECONDS_DIGITS = 10  # an integer time with more is nanoseconds
MAX_STEPS = 11_000  # of a range query: a point a minute for a week

_FORM = "application/x-www-form-urlencoded"
_INT64 = 2**63
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:Z|([+-])(\d{2}):(\d{2}))\Z", re.ASCII
)
_DURATION = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?\Z",
    re.ASCII,
)
_DURATION_UNITS_NS = (
    365 * 24 * HOUR_NS,
    7 * 24 * HOUR_NS,
    24 * HOUR_NS,
    HOUR_NS,
    60 * SECOND_NS,
    SECOND_NS,
    1_000_000,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - datetime.UTC says less
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Params:
    """Names and values of a request; a form in the body stands before the address, as in Go."""

    values: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str:
        """The first value, or nothing."""
        return next(iter(self.values.get(name, ())), "")

    def all(self, name: str) -> list[str]:
        return list(self.values.get(name, ()))

    def limit(self) -> int:
        text = self.text("limit")
        if not text:
            return DEFAULT_LIMIT
        if not _INTEGER.match(text):
            raise BadRequest(f'strconv.Atoi: parsing "{text}": invalid syntax')
        number = int(text)
        if number <= 0:
            raise BadRequest("limit must be a positive value")
        if number > MAX_LIMIT:
            raise BadRequest(f"limit value {number} is out of range [0, {MAX_LIMIT}]")
        return number

    def newest_first(self) -> bool:
        text = self.text("direction")
        match text.upper():
            case "" | "BACKWARD":
                return True
            case "FORWARD":
                return False
        raise BadRequest(f"invalid direction '{text}'")

    def time_range(self, *, now_ns: int) -> TimeRange:
        """`start`, `end` and `since`; the last hour when nothing is said.

        Raises:
            BadRequest: one of them cannot be read, or the end is before the start.
        """
        since_ns = self._since_ns()
        end_ns = self._time_ns("end", now_ns)
        # With an end in the future, `since` counts from now.
        start_ns = self._time_ns("start", min(end_ns, now_ns) - since_ns)
        if end_ns < start_ns:
            # Loki's words; it lets an end pass that is equal.
            raise BadRequest("end timestamp must not be before or equal to start time")
        return TimeRange(start_ns, end_ns)

    def time_ns(self, *, now_ns: int) -> int:
        """`time` of an instant query."""
        return parse_time(self.text("time"), now_ns)

    def step_ns(self, time_range: TimeRange) -> int:
        """`step`, by default a 250th of the range in whole seconds.

        Raises:
            BadRequest: not a duration, not positive, or so small that a series would have too many points.
        """
        length_ns = time_range.end_ns - time_range.start_ns
        text = self.text("step")
        if not text:
            return max(length_ns // SECOND_NS // DEFAULT_STEPS, 1) * SECOND_NS
        step_ns = parse_duration(text)
        if step_ns <= 0:
            raise BadRequest("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if length_ns // step_ns > MAX_STEPS:
            raise BadRequest(
                "exceeded maximum resolution of 11,000 points per time series. "
                "Try increasing the value of the step parameter"
            )
        return step_ns

    def interval_ns(self) -> int | None:
        """`interval`: entries of one stream at least this far apart; None when not asked for."""
        text = self.text("interval")
        if not text:
            return None
        interval_ns = parse_duration(text)
        if interval_ns < 0:
            raise BadRequest("interval must be >= 0")
        return interval_ns or None

    def delay_for_s(self) -> int:
        text = self.text("delay_for")
        if not text:
            return 0
        if not _INTEGER.match(text):
            raise BadRequest(f'strconv.Atoi: parsing "{text}": invalid syntax')
        if int(text) > MAX_DELAY_S:
            raise BadRequest(f"delay_for can't be greater than {MAX_DELAY_S}")
        return max(int(text), 0)

    def _since_ns(self) -> int:
        text = self.text("since")
        if not text:
            return DEFAULT_SINCE_NS
        since_ns = _prometheus_duration(text)
        if since_ns is None:
            raise BadRequest(f"could not parse 'since' parameter: not a valid duration string: \"{text}\"")
        return since_ns

    def _time_ns(self, name: str, default_ns: int) -> int:
        try:
            return parse_time(self.text(name), default_ns)
        except BadRequest as error:
            raise BadRequest(f"could not parse '{name}' parameter: {error}") from None


async def read_params(request: Request, bodies: BodyReader, *, max_bytes: int) -> Params:
    """The parameters in the address, and in the body when it is a form."""
    values = _fields(request.url.query)
    async with bodies.read(request, max_bytes=max_bytes) as body:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            form = _fields(body.decode("utf-8", "replace"))
            values = {name: [*form.get(name, ()), *values.get(name, ())] for name in {**values, **form}}
    return Params(values)


def query_params(query_string: str) -> Params:
    """The parameters in an address."""
    return Params(_fields(query_string))


def wants_categories(connection: HTTPConnection) -> bool:
    """Whether the client wants structured metadata and parsed labels apart from the stream's labels."""
    flags = connection.headers.get(FLAGS_HEADER, "")
    return CATEGORIZE in (flag.strip() for flag in flags.split(","))


def parse_time(text: str, default_ns: int) -> int:
    """Float seconds, integer seconds (up to ten digits) or nanoseconds, or RFC 3339; `default_ns` when empty.

    Raises:
        BadRequest: none of these. The text is that of Go's `strconv`, as in Loki.
    """
    if not text:
        return default_ns
    seconds = _float(text) if "." in text else None
    if seconds is not None:
        # Loki rounds to milliseconds: a float does not hold more beside today's seconds.
        whole = math.floor(seconds)
        return _clamped(whole * SECOND_NS + round((seconds - whole) * 1000) * 1_000_000)
    if _INTEGER.match(text):
        return _integer_time(text)
    time_ns = _rfc3339(text)
    if time_ns is None:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return _clamped(time_ns)


def parse_duration(text: str) -> int:
    """Float seconds, or a duration such as `1h30m`, in nanoseconds."""
    seconds = _float(text)
    if seconds is not None and abs(seconds * SECOND_NS) >= _INT64:
        raise BadRequest(f'cannot parse "{text}" to a valid duration. It overflows int64')
    duration_ns = int(seconds * SECOND_NS) if seconds is not None else _prometheus_duration(text)
    if duration_ns is None:
        raise BadRequest(f'cannot parse "{text}" to a valid duration')
    return duration_ns


def _fields(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest(f"more than {MAX_FIELDS} parameters") from None


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _integer_time(text: str) -> int:
    number = int(text)
    if not -_INT64 <= number < _INT64:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return _clamped(number * SECOND_NS) if len(text) <= SECONDS_DIGITS else number


def _clamped(time_ns: int) -> int:
    """The nearest time that 64 bits hold: what lies beyond 2262 means "for ever"."""
    return max(-_INT64, min(time_ns, _INT64 - 1))


def _prometheus_duration(text: str) -> int | None:
    """Prometheus' `model.ParseDuration`: units from large to small, each at most once."""
    if text == "0":
        return 0
    found = _DURATION.match(text) if text else None
    if found is None:
        return None
    duration_ns = sum(
        int(count) * unit_ns for count, unit_ns in zip(found.groups(), _DURATION_UNITS_NS, strict=True) if count
    )
    return duration_ns if duration_ns < _INT64 else None


def _rfc3339(text: str) -> int | None:
    found = _RFC3339.match(text)
    if found is None:
        return None
    fraction, sign, offset_hours, offset_minutes = found.group(7, 8, 9, 10)
    offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    try:
        local = datetime(*(int(part) for part in found.group(1, 2, 3, 4, 5, 6)), tzinfo=_EPOCH.tzinfo)  # type: ignore[misc,arg-type]
        at = local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        return None
    return (at - _EPOCH) // _MICROSECOND * 1000 + int((fraction or "0")[:9].ljust(9, "0"))
