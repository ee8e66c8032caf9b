"""Runs SQL and owns the tables: engines, writer, migrations, retention, stream index."""
