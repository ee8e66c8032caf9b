"""LogQL: text → tree → plan. Nothing here does I/O.

Source: https://grafana.com/docs/loki/latest/query/
"""
