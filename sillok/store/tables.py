"""The life of the tables: they are made, and brought to the version this program knows, at start-up."""

from __future__ import annotations

from sillok.errors import StoreUnavailable
from sillok.schema import ddl, versions
from sillok.store.engine import Engine
from sillok.store.settings import StoreSettings


class Tables:
    def __init__(self, engine: Engine, settings: StoreSettings | None = None) -> None:
        self._engine = engine
        self._settings = settings or StoreSettings()

    def migrate(self) -> None:
        """Bring the tables to the newest version; what was done before is not done again.

        A step that was interrupted is run again, so every statement of a step can be.

        Raises:
            StoreUnavailable: the data was written by a newer Sillok.
        """
        # A start that has nothing to change must also work on a full disk, where no table can be made.
        if not self._engine.query(versions.existence())["tables"][0].as_py():
            for statement in ddl.VERSIONS:
                self._engine.execute(statement)
        version = self.version()
        newest = ddl.STEPS[-1].version
        if version > newest:
            raise StoreUnavailable(
                f"the data is of schema version {version}, this Sillok knows {newest}: start the newer one"
            )
        for step in ddl.STEPS:
            if step.version > version:
                self._take(step)

    def version(self) -> int:
        return int(self._engine.query(versions.current())["version"][0].as_py())

    def _take(self, step: ddl.Step) -> None:
        import pyarrow as pa

        from sillok.schema.tables import VERSIONS

        for statement in step.statements:
            self._engine.execute(statement)
        self._engine.insert(VERSIONS, pa.table({"version": pa.array([step.version], pa.uint32())}))
