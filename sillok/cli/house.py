"""The server's object graph: from the engine up to the application, and down again."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sillok.cli.config import read_text
from sillok.config import effective as effective_text
from sillok.config.sillok import CredentialEntry, Effective, Settings, Store, credentials_in, parse_address
from sillok.errors import BadRequest, ConfigError, SillokError
from sillok.http.settings import Bind, Credential, HttpLimits, Role, ServerSettings, TlsFiles
from sillok.model.limits import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from sillok.ingest.service import Ingest
    from sillok.query.service import QueryService
    from sillok.store.engine import Engine
    from sillok.store.retention import Retention

STORE_FOLDER = "store"
RETENTION_EVERY_S = 600.0
SECOND_NS = 1_000_000_000

_log = logging.getLogger("sillok.serve")


class House:
    """Everything behind the listener. `open` and `close` are called once each, on one event loop."""

    def __init__(self, effective: Effective, settings: ServerSettings) -> None:
        self.effective = effective
        self.settings = settings
        self._engine: Engine | None = None
        self._ingest: Ingest | None = None
        self._query: QueryService | None = None
        self._retention: Retention | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._unready: str | None = "Sillok is starting: the store is being opened"

    async def open(self) -> ASGIApp:
        """Open the store and build the services over it, beside the event loop.

        Raises:
            StoreLocked, StoreUnavailable: the data folder cannot be used.
        """
        app = await asyncio.to_thread(self._build)
        self._unready = None
        self._expiring = asyncio.create_task(self._expire())
        return app

    async def close(self) -> None:
        """Finish what was accepted, then close the store. The listener has stopped by now."""
        self._unready = "Sillok is stopping"
        if self._expiring is not None:
            self._expiring.cancel()
        for part in (self._ingest, self._query):
            if part is not None:
                await _closed(part.close())
        if self._engine is not None:
            await _closed(asyncio.to_thread(self._engine.close))

    async def _expire(self) -> None:
        """Remove old lines, at the start and every few minutes; a run that fails is tried again by the next."""
        assert self._retention is not None
        while True:
            try:
                await asyncio.to_thread(self._retention.run, time.time_ns())
            except SillokError as error:
                _log.warning("old lines were not removed: %s", error)
            except Exception:
                _log.exception("old lines were not removed")
            await asyncio.sleep(RETENTION_EVERY_S)

    def _build(self) -> ASGIApp:
        from sillok.ingest.service import Ingest
        from sillok.logql.parser import parse_selector
        from sillok.query.service import QueryService
        from sillok.server.app import build_app
        from sillok.store.retention import Retention
        from sillok.store.settings import StoreSettings
        from sillok.store.streams import StreamIndex
        from sillok.store.tables import Tables
        from sillok.store.writer import Writer

        configured = self.effective.settings
        engine = self._engine = open_engine(configured)
        store = StoreSettings(
            min_free_bytes=configured.store.min_free_bytes, cluster=configured.store.clickhouse_cluster or None
        )
        Tables(engine, store).migrate()
        streams = StreamIndex(engine)
        streams.load()
        limits = limits_by_tenant(configured)
        self._ingest = Ingest(writer=Writer(engine), streams=streams, limits=limits)
        self._query = QueryService(engine=engine, streams=streams, limits=limits, listen=self._ingest.listen)
        self._retention = Retention(
            engine,
            streams,
            limits=limits,
            matchers=lambda selector: parse_selector(selector).matchers,
            settings=store,
        )
        return build_app(
            ingest=self._ingest,
            query=self._query,
            settings=self.settings,
            config_text=lambda: effective_text.render(self.effective),
            ready=lambda: self._unready,
        )


async def _closed(closing: Coroutine[None, None, None]) -> None:
    """What cannot be closed must not keep the rest from being closed."""
    try:
        await closing
    except Exception:
        _log.exception("while stopping")


def open_engine(settings: Settings) -> Engine:
    """The engine that the settings name, open.

    Raises:
        StoreLocked, StoreUnavailable: it cannot be used.
        ConfigError: it needs a library that is not installed.
    """
    store = settings.store
    if store.clickhouse_url:
        return _open_clickhouse(store)
    from sillok.store.engines.chdb import open_chdb

    return open_chdb(
        Path(settings.data) / STORE_FOLDER,
        max_memory_bytes=store.max_memory_bytes,
        max_result_bytes=store.max_result_bytes,
        threads=store.threads,
    )


def _open_clickhouse(store: Store) -> Engine:
    try:
        from sillok.store.engines.clickhouse import open_clickhouse
    except ModuleNotFoundError as error:
        if error.name != "clickhouse_connect":
            raise
        raise ConfigError("`store.clickhouse_url` needs the ClickHouse client: pip install 'sillok[cluster]'") from None
    return open_clickhouse(
        store.clickhouse_url,
        user=store.clickhouse_user,
        password=store.clickhouse_password,
        cluster=store.clickhouse_cluster or None,
        max_result_bytes=store.max_result_bytes,
        threads=store.threads,
    )


def limits_by_tenant(settings: Settings) -> Callable[[str], Limits]:
    """The limits of a tenant, worked out once."""
    own = {override.tenant: settings.limits_of(override.tenant) for override in settings.overrides}
    return lambda tenant: own.get(tenant, settings.limits)


def check_selectors(effective: Effective) -> None:
    """Retention by stream deletes: a selector that cannot be read must not wait for the first run to be found.

    Raises:
        ConfigError: one of them is no selector.
    """
    settings = effective.settings
    every = [settings.limits, *(settings.limits_of(override.tenant) for override in settings.overrides)]
    for stream in (stream for limits in every for stream in limits.retention_stream):
        from sillok.logql.parser import parse_selector

        try:
            parse_selector(stream.selector)
        except BadRequest as error:
            place = effective.places.get("limits.retention_stream") or effective.places.get("overrides", "")
            raise ConfigError(f"{place}: `retention_stream`: `{stream.selector}` is no selector: {error}") from None


def binds_of(settings: Settings) -> tuple[Bind, ...]:
    return tuple(Bind(*parse_address(address)) for address in settings.server.listen)


def tls_of(settings: Settings) -> TlsFiles | None:
    tls = settings.server.tls
    return TlsFiles(Path(tls.cert_file), Path(tls.key_file)) if tls.cert_file else None


def server_settings(settings: Settings, *, collector_token_hash: str | None = None) -> ServerSettings:
    """What the front door is told; the credentials file is read here."""
    entries: Sequence[CredentialEntry] = settings.auth.credentials
    if settings.auth.credentials_file:
        path = Path(settings.auth.credentials_file)
        entries = (*entries, *credentials_in(read_text(path), str(path)))
    credentials = tuple(_credential(entry) for entry in entries)
    if credentials and collector_token_hash:
        own = Credential("collector", frozenset({Role.PUSH}), tenants=("*",), token_hash=collector_token_hash)
        credentials = (*credentials, own)
    server = settings.server
    return ServerSettings(
        auth_enabled=settings.auth.enabled,
        default_tenant=settings.auth.default_tenant,
        credentials=credentials,
        origins=server.origins,
        hosts=server.hosts,
        limits=HttpLimits(
            max_connections=server.max_connections,
            max_websockets=server.max_websockets,
            max_header_bytes=server.max_header_bytes,
            head_timeout_s=server.head_timeout_ns / SECOND_NS,
            idle_timeout_s=server.idle_timeout_ns / SECOND_NS,
            write_timeout_s=server.write_timeout_ns / SECOND_NS,
            max_push_body_bytes=server.max_push_body_bytes,
            max_decompressed_bytes=server.max_decompressed_bytes,
            max_decompression_ratio=server.max_decompression_ratio,
            max_bodies_in_memory_bytes=server.max_bodies_in_memory_bytes,
        ),
    )


def check_exposure(binds: Sequence[Bind], settings: ServerSettings) -> Iterator[str]:
    """The one warning of a server that everybody can reach and nobody has to log in to."""
    open_binds = [bind for bind in binds if not _is_loopback(bind.host)]
    if open_binds and not settings.credentials:
        addresses = ", ".join(f"{bind.host}:{bind.port}" for bind in open_binds)
        yield (
            f"no credentials are configured, and {addresses} can be reached from other machines: everybody who "
            "reaches it can read and push all logs. Set auth.credentials (docs/reference/configuration.md), "
            "restrict the port with a firewall, or listen on 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credential(entry: CredentialEntry) -> Credential:
    return Credential(
        name=entry.name,
        roles=frozenset(Role(role) for role in entry.roles),
        tenants=entry.tenants,
        token_hash=entry.token_hash,
        user=entry.user,
        password_hash=entry.password_hash,
    )
