"""Sillok: logs, metrics and alerts of a small team's servers, and proof that nothing is missing."""

__version__ = "0.1.0"
