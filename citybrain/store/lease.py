"""A lease: which one of several processes acts, until it ends or has not written for a while.

As with claims, the lease ends by the database's clock and a fence tells a late holder that it has been replaced. Every
write of the holder is made through `LeasedStore`: it renews the lease, or fails if somebody else has taken it since.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, update

from citybrain.store.database import Store, now_ms
from citybrain.store.tables import leases
from citybrain.store.upsert import insert_or


class LeaseLost(Exception):
    """Somebody else has taken the lease: roll everything back, it is theirs now."""


class Lease:
    """`name` is what is held; `lease_ms` after the holder's last write another process may take it."""

    def __init__(self, store: Store, name: str, lease_ms: int) -> None:
        self._store, self._name, self._lease_ms = store, name, lease_ms
        self._holder = f"{socket.gethostname()}:{os.getpid()}"  # for people; the fence decides
        self._fence: int | None = None

    @property
    def held(self) -> bool:
        """As far as this process knows: only a write shows it."""
        return self._fence is not None

    def take(self) -> bool:
        """True if nobody holds it, or whoever did has not renewed it in time."""
        mine = {"holder": self._holder, "lease_until": now_ms() + self._lease_ms}
        with self._store.write() as tx:
            first = insert_or(tx.dialect, leases).values(name=self._name, fence=1, **mine)
            statement = first.on_conflict_do_update(
                index_elements=[leases.c.name],
                set_=mine | {"fence": leases.c.fence + 1},
                where=leases.c.lease_until <= now_ms(),
            )
            fence = tx.execute(statement.returning(leases.c.fence)).scalar()
        self._fence = fence
        return self.held

    def renew(self, tx: Connection) -> None:
        """Whoever wants to take the lease waits for this transaction. Raises LeaseLost."""
        renewed = update(leases).where(leases.c.name == self._name, leases.c.fence == self._fence)
        if not tx.execute(renewed.values(lease_until=now_ms() + self._lease_ms)).rowcount:
            self._fence = None
            raise LeaseLost(self._name)

    def release(self) -> None:
        """The next one need not wait."""
        mine = (leases.c.name == self._name) & (leases.c.fence == self._fence)
        with self._store.write() as tx:
            tx.execute(update(leases).where(mine).values(lease_until=0))
        self._fence = None


class LeasedStore(Store):
    """The same store for the holder of a lease: whoever has lost it writes nothing."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self.url, self.engine = store.url, store.engine
        self._store, self._lease = store, lease

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._store.read() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._store.write() as tx:
            self._lease.renew(tx)
            yield tx
