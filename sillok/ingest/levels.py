"""What labels and structured metadata say about the level of a line; the store looks into the line itself.

Source:  Loki pkg/distributor/field_detection.go `extractLogLevel`, `normalizeLogLevel`
"""

from __future__ import annotations

import re

from sillok.model.labels import LabelSet
from sillok.model.level import DO_NOT_DETECT, SPELLINGS, UNKNOWN
from sillok.model.limits import Limits

DETECTED_LEVEL = "detected_level"
SEVERITY_NUMBER = "severity_number"

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}\Z")
# The last severity number of OpenTelemetry's data model that means each level.
_SEVERITIES = ((4, "trace"), (8, "debug"), (12, "info"), (16, "warn"), (20, "error"), (24, "fatal"))


def detects_levels(limits: Limits) -> bool:
    """Whether a line without a level gets one; Loki keeps it as structured metadata, so that must be allowed."""
    return limits.discover_log_levels and limits.allow_structured_metadata


def normalised(level: str) -> str:
    """Loki's name of a level that is spelled in a known way, else `level` as it is."""
    return SPELLINGS.get(level.lower(), level)


def level_of_labels(labels: LabelSet, limits: Limits) -> str:
    """The level that the first of `log_level_fields` among the labels gives, or ''."""
    if not detects_levels(limits):
        return DO_NOT_DETECT
    values = dict(labels)
    found = next((values[name] for name in limits.log_level_fields if name in values), "")
    return normalised(found)


def level_of_severity_number(number: str) -> str:
    """The level of OpenTelemetry's severity number, as the text it is kept as."""
    if not _NUMBER.match(number):
        return "info"
    severity = int(number)
    if severity == 0:
        return UNKNOWN
    return next((level for last, level in _SEVERITIES if severity <= last), UNKNOWN)
