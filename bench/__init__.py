"""Measurements: one question one file, every timing checks its answer. `python -m bench --help`."""
