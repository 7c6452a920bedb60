"""Transactions on PostgreSQL: bounded, durable, ended by their deadline, and on the schema they expect.

What must hold in a transaction is set in it (``SET LOCAL``), so that neither a role's defaults nor a
pooler in between can take it away. A connection whose transaction did not end well is cut, never
used again: an answer that is still under way would be somebody else's.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import asyncpg

from gateway.ports import PortUnavailableError

CONNECTIONS_MAX = 18  # delivery's batches, checkpoints, a probe; opened as needed, the others wait
IDLE_S_MAX = 300.0
STATEMENTS_KEPT = 16  # prepared, per connection
LOCK = 0x7267_7374  # of those who make the schema: "rgst"
STEPS = ("postgres.sql", "postgres-2.sql")  # from nothing to schema 1, from there to 2
SCHEMA_VERSION = len(STEPS)
# Not to_regclass: behind the lock it may still answer from before.
HAS_SCHEMA = """
SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'gateway_schema' AND pg_table_is_visible(oid))
"""
VERSION = "SELECT version FROM gateway_schema"

Connection = Any  # asyncpg's, which is untyped


class PostgresPool:
    """Connections to one database. Nothing is opened before the first transaction."""

    def __init__(self, url: str, *, deadline_s: float, password: str = "") -> None:
        self._url, self._deadline_s = url, deadline_s
        self._password = password or None  # None: the URL's, or the environment's
        self._pool: Any = None
        self._opening = asyncio.Lock()
        self._is_closed = False
        self._is_prepared = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Run one transaction.

        Raises:
            PortUnavailableError: it was taken back, or nobody knows; it may be repeated.
        """
        if self._is_closed:
            raise PortUnavailableError("the store is closed")
        deadline_s = asyncio.get_running_loop().time() + self._deadline_s
        try:
            async with asyncio.timeout_at(deadline_s), self._connection() as db:
                if not self._is_prepared:
                    await _prepare(db)
                    self._is_prepared = True
                async with db.transaction():
                    await _promise(db, deadline_s)
                    yield db
        except TimeoutError:
            raise PortUnavailableError("PostgreSQL: no answer within the deadline") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            self._is_prepared = False  # it may have been put back from a copy, or another took over
            # Not `from error`: its texts quote the row, and tracebacks are logged with their causes.
            raise PortUnavailableError(f"PostgreSQL: {_told(error)}") from None

    async def close(self) -> None:
        """Cut all connections; what is under way fails."""
        self._is_closed = True
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        pool = await self._opened()
        db = await pool.acquire()
        try:
            yield db
        except BaseException:
            db.terminate()
            raise
        finally:
            await pool.release(db)

    async def _opened(self) -> Any:
        async with self._opening:
            if self._pool is None:
                pool = asyncpg.create_pool(
                    self._url,
                    password=self._password,
                    min_size=0,
                    max_size=CONNECTIONS_MAX,
                    max_inactive_connection_lifetime=IDLE_S_MAX,
                    statement_cache_size=STATEMENTS_KEPT,
                    timeout=self._deadline_s,
                )
                self._pool = await pool
        return self._pool


async def _promise(db: Connection, deadline_s: float) -> None:
    """Have the transaction durable, and every statement of it end by the deadline."""
    left_ms = max(1, int((deadline_s - asyncio.get_running_loop().time()) * 1_000))
    await db.execute(
        f"SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = {left_ms};"
        f"SET LOCAL idle_in_transaction_session_timeout = {left_ms}; SET CONSTRAINTS ALL IMMEDIATE"
    )


async def _prepare(db: Connection) -> None:
    """See that the schema is ours; make it where there is none, bring an older one up.

    The lock is for two processes that start at once. Where an owner has prepared the database, nothing
    is written here, and no right to create anything is needed.
    """
    if await db.fetchval("SHOW server_encoding") != "UTF8":
        raise PortUnavailableError("PostgreSQL: the database's encoding must be UTF8")
    version = await _version(db)
    if version < SCHEMA_VERSION:
        async with db.transaction():
            await db.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            for step in STEPS[await _version(db) :]:
                try:
                    await db.execute(files("gateway.stores").joinpath(step).read_text("utf-8"))
                except asyncpg.InsufficientPrivilegeError:
                    told = f"PostgreSQL: have its owner run gateway/stores/{step}"
                    raise PortUnavailableError(told) from None
    if version > SCHEMA_VERSION:
        raise PortUnavailableError(f"PostgreSQL: schema {version} is not {SCHEMA_VERSION}, ours")


async def _version(db: Connection) -> int:
    """Return the schema's version; 0: there is none."""
    return int(await db.fetchval(VERSION) or 0) if await db.fetchval(HAS_SCHEMA) else 0


def _told(error: Exception) -> str:
    """Say what went wrong without a word of the row."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, asyncpg.ClientConfigurationError):
        return str(error)  # of the URL and its files
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__}{f' ({state})' if state else ''}"
