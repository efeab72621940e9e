"""The keys that an API process knows: who is asking costs no query, a revoked key is refused within a moment, and a new
one is known at once. `keys` says what a key may do, `access` where it stands in a request."""

import asyncio
import hmac
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import select

from citybrain.keys import Key, hash_of, key_of, prefix_of
from citybrain.problem import Problem
from citybrain.store.database import Store
from citybrain.store.tables import keys

REFRESH_SECONDS = 0.25  # a revoked key is refused after this at the latest
GAP_SECONDS = 0.05  # between two looks at the store, whoever tries how many keys that nobody knows


class Keyring:
    """All valid keys in memory, re-read when they may be stale, or when one is missing, which may have been made since:
    a request costs a dictionary and a hash."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store, self._clock = store, clock
        self._read_at, self._looked_at = -REFRESH_SECONDS * 1000, -GAP_SECONDS
        self._by_prefix: dict[str, tuple[bytes, int | None, Key]] = {}
        self._by_name: dict[str, Key] = {}
        self._used: dict[str, int] = {}
        self._reader = ThreadPoolExecutor(1, "keyring")  # of its own: an event waits for no other request's thread
        self._lock = threading.Lock()
        self._present: Future[None] | None = None  # the look at the store that has begun
        self._next: Future[None] | None = None  # the one that has not

    def check(self, plain: str) -> Key:
        """Whose key this is. Raises Problem 401."""
        if look := self._look(prefix_of(plain) in self._by_prefix):
            look.result()
        return self._known(plain)

    async def checked(self, plain: str) -> Key:
        """The same without holding up others."""
        if look := self._look(prefix_of(plain) in self._by_prefix):
            await asyncio.shield(asyncio.wrap_future(look))
        return self._known(plain)

    def named(self, name: str) -> Key | None:
        """Of a session's key, which is used by that."""
        if look := self._look(name in self._by_name):
            look.result()
        if key := self._by_name.get(name):
            self._used[name] = self._clock()
        return key

    def take_uses(self) -> dict[str, int]:
        """When each key was used last, in ms, of those that were used since this was asked."""
        used, self._used = self._used, {}
        return dict(used)  # whoever looked up a key meanwhile may still write into the old one

    def _known(self, plain: str) -> Key:
        known, expires_at, key = self._by_prefix.get(prefix_of(plain), (b"", None, None))
        # The comparison runs also for unknown prefixes, so that its time tells nothing of the secret.
        same = hmac.compare_digest(known, hash_of(plain))
        if key is None or not same or (expires_at is not None and expires_at <= self._clock()):
            raise Problem(401, "this key is unknown, expired or revoked")
        self._used[key.name] = self._clock()
        return key

    def _look(self, is_known: bool) -> Future[None] | None:
        """The look at the store that this has to wait for; all who come meanwhile share it and what becomes of it. For
        a key that is not known it is one that begins from now on: the key may be as young as that."""
        if is_known and 0 <= self._clock() - self._read_at < REFRESH_SECONDS * 1000:  # a clock may be set back
            return None
        with self._lock:
            if is_known and self._present:
                return self._present
            self._next = self._next or self._reader.submit(self._read)
            return self._next

    def _read(self) -> None:
        time.sleep(max(self._looked_at + GAP_SECONDS - time.monotonic(), 0))
        with self._lock:
            self._present, self._next = self._next, None
        self._looked_at, now = time.monotonic(), self._clock()
        try:
            with self._store.read() as tx:
                rows = tx.execute(select(keys).where(keys.c.revoked_at.is_(None))).all()
            valid = [(row, key_of(row)) for row in rows]
            self._by_prefix = {row.prefix: (row.hash, row.expires_at, key) for row, key in valid}
            self._by_name = {key.name: key for row, key in valid if not row.expires_at or row.expires_at > now}
            self._read_at = now
        finally:
            self._present = None


def borne(authorization: str | None) -> str:
    """The key in the header. Raises Problem 401 without one."""
    scheme, _, plain = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not plain.strip():
        raise Problem(401, "send your key as `Authorization: Bearer KEY`, or sign in by POST /api/v1/session")
    return plain.strip()
