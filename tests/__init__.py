"""Tests. The folders mirror `sillok/`; `e2e/` starts real processes and looks inside nothing."""
