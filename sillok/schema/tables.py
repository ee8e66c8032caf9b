"""The names of our tables."""

from __future__ import annotations

DATABASE = "sillok"
LOGS = f"{DATABASE}.logs"
STREAMS = f"{DATABASE}.streams"
DOCUMENTS = f"{DATABASE}.documents"
VERSIONS = f"{DATABASE}.versions"
