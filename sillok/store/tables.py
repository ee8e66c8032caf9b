"""The life of the tables: they are made, and brought to the version this program knows, at start-up."""

from __future__ import annotations

import logging

from sillok.errors import StoreFull, StoreUnavailable
from sillok.schema import ddl, parts, tables, versions
from sillok.schema.ddl import Placement
from sillok.store.engine import Engine
from sillok.store.settings import StoreSettings

_log = logging.getLogger(__name__)


class Tables:
    def __init__(self, engine: Engine, settings: StoreSettings | None = None) -> None:
        self._engine = engine
        self._settings = settings or StoreSettings()
        self._placement = Placement(self._settings.cluster)

    def migrate(self) -> None:
        """Bring the tables to the newest version; what was done before is not done again.

        A step that was interrupted is run again, so every statement of a step can be. Parts that the engine
        could not read and put aside are told in the log.

        Raises:
            StoreUnavailable: the data was written by a newer Sillok.
            StoreFull: a step is needed and there is no room for it.
        """
        # A start that has nothing to change must also work on a full disk, where no table can be made.
        if not self._engine.query(versions.existence())["tables"][0].as_py():
            for statement in ddl.before_steps(self._placement):
                self._engine.execute(statement)
        version = self.version()
        steps = ddl.steps(self._placement)
        if version > steps[-1].version:
            raise StoreUnavailable(
                f"the data is of schema version {version}, this Sillok knows {steps[-1].version}: start the newer one"
            )
        for step in steps:
            if step.version > version:
                self._take(step)
        self._keep_free()
        self._tell_broken_parts()

    def version(self) -> int:
        """The last step that was taken whole; 0 before the first."""
        return int(self._engine.query(versions.current())["version"][0].as_py())

    def broken_parts(self) -> list[tuple[str, str, str]]:
        """(table, part, reason) of what the engine could not read when it opened, and put aside."""
        found = self._engine.query(parts.detached()).to_pydict()
        return list(zip(found["table"], found["name"], found["reason"], strict=True))

    def _take(self, step: ddl.Step) -> None:
        import pyarrow as pa

        for statement in step.statements:
            self._engine.execute(statement)
        self._engine.insert(tables.VERSIONS, pa.table({"version": pa.array([step.version], pa.uint32())}))

    def _keep_free(self) -> None:
        wanted = self._settings.min_free_bytes
        current = self._engine.query(parts.least_free(self._placement.logs))["bytes"].to_pylist()
        if current == [wanted]:
            return
        try:
            for statement in ddl.keep_free(self._placement, wanted):
                self._engine.execute(statement)
        except StoreFull:
            _log.warning("the disk is full: `min_free` stays at %s bytes until a start with room", current)

    def _tell_broken_parts(self) -> None:
        for table, part, reason in self.broken_parts():
            _log.error(
                "part %s of table %s is damaged (%s) and was put aside: its lines are missing; restore a backup",
                part,
                table,
                reason,
            )
