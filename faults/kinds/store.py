"""A store that stops, is locked, is full, or never says whether it has committed."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import psycopg

from bench.stores import NotAvailable, Postgresql
from faults import smalldisk
from faults.installation import Installation
from faults.kinds import NotReached, kind

POSTGRESQL, SQLITE = ("postgresql",), ("sqlite",)
LOCKED = ("events", "cases", "deliveries", "counters", "endpoints")


@kind("PostgreSQL halts and recovers", "store", hold=(0.5, 4), burst=500, stores=POSTGRESQL)
async def halted(here: Installation) -> AsyncIterator[None]:
    await asyncio.to_thread(_server(here).halt)
    yield
    await asyncio.to_thread(_server(here).resume)


@kind("replies to COMMIT lost", "store", hold=(1, 3), burst=500, stores=POSTGRESQL)
async def commits_unknown(here: Installation) -> AsyncIterator[None]:
    for link in here.store_links.values():
        link.lose_replies(b"COMMIT", 3)
    yield
    for link in here.store_links.values():
        link.heal()


@kind("link to PostgreSQL cut", "store", hold=(1, 6), burst=500, stores=POSTGRESQL)
async def link_cut(here: Installation) -> AsyncIterator[None]:
    links = here.rng.sample(list(here.store_links.values()), here.rng.choice((1, 2)))
    for link in links:
        link.cut()
    yield
    for link in links:
        link.heal()


@kind("link to PostgreSQL frozen", "store", hold=(2, 8), burst=500, stores=POSTGRESQL)
async def link_frozen(here: Installation) -> AsyncIterator[None]:
    link = here.rng.choice(list(here.store_links.values()))
    link.freeze()
    yield
    link.heal()


@kind("sessions ended by PostgreSQL", "store", burst=500, stores=POSTGRESQL)
async def sessions_ended(here: Installation) -> AsyncIterator[None]:
    async with await _connect(here) as connection:
        await _end_sessions(connection)
    yield


@kind("table locked", "store", hold=(2, 12), burst=500, stores=POSTGRESQL)
async def table_locked(here: Installation) -> AsyncIterator[None]:
    async with await _connect(here) as connection, connection.transaction():
        with suppress(psycopg.errors.DeadlockDetected):
            await connection.execute(f"LOCK TABLE {here.rng.choice(LOCKED)} IN ACCESS EXCLUSIVE MODE")
        yield


@kind("PostgreSQL's connections exhausted", "store", hold=(2, 6), burst=500, stores=POSTGRESQL)
async def exhausted(here: Installation) -> AsyncIterator[None]:
    taken: list[Any] = []
    first = await _connect(here)
    await _end_sessions(first)
    with suppress(psycopg.OperationalError):
        while True:
            taken.append(await _connect(here))
    yield
    for connection in (first, *taken):
        await connection.close()


@kind("SQLite locked by another process", "store", hold=(2, 12), burst=500, stores=SQLITE)
async def locked(here: Installation) -> AsyncIterator[None]:
    path = here.disk / "citybrain.db"
    connection = await asyncio.to_thread(sqlite3.connect, path, 30, isolation_level=None, check_same_thread=False)
    await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
    yield
    connection.rollback()
    connection.close()


@kind("a reader of SQLite does not end", "store", hold=(3, 10), burst=1_000, stores=SQLITE)
async def read(here: Installation) -> AsyncIterator[None]:
    """The write-ahead log cannot be taken over meanwhile."""
    connection = sqlite3.connect(here.disk / "citybrain.db", isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM events").fetchone()
    yield
    connection.rollback()
    connection.close()


@kind("disk full", "store", hold=(2, 8), burst=1_000, needs_small_disk=True)
async def disk_full(here: Installation) -> AsyncIterator[None]:
    """A PostgreSQL that cannot write its log ends itself: then it is started again."""
    if not smalldisk.fill(here.disk.parent):
        raise NotReached
    yield
    smalldisk.empty(here.disk.parent)
    if here.server:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(_start_again, here.server)


def _start_again(server: Postgresql) -> None:
    with suppress(NotAvailable):  # it is there already
        if not server.is_running():
            server.resume()


def _server(here: Installation) -> Postgresql:
    assert here.server is not None
    return here.server


async def _connect(here: Installation) -> Any:
    url = here.database_url.replace("+psycopg", "")
    return await psycopg.AsyncConnection.connect(url, autocommit=True)


async def _end_sessions(connection: Any) -> None:
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'citybrain'"
    await connection.execute(ours)
