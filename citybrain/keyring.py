"""The keys that an API process knows: who is asking costs no query, a revoked key is refused within a moment, and a new
one is known at once. `keys` says what a key may do, `access` where it stands in a request."""

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from citybrain.keys import Key, hash_of, key_of, prefix_of
from citybrain.problem import Problem
from citybrain.store.database import Store
from citybrain.store.tables import keys

REFRESH_SECONDS = 0.25  # a revoked key is refused after this at the latest
MISSED_SECONDS = 0.05  # so often at most the store is asked for a key that nobody knows, whoever tries how many


class Keyring:
    """All valid keys in memory, re-read when they may be stale, or when one is missing, which may have been made since:
    a request costs a dictionary and a hash."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store, self._clock = store, clock
        self._read_at = self._missed_at = -REFRESH_SECONDS * 1000
        self._by_prefix: dict[str, tuple[bytes, int | None, Key]] = {}
        self._by_name: dict[str, Key] = {}
        self._used: dict[str, int] = {}
        self._reader = ThreadPoolExecutor(1, "keyring")  # of its own: an event waits for no other request's thread
        self._reading: asyncio.Future[None] | None = None

    def check(self, plain: str) -> Key:
        """Whose key this is. Raises Problem 401."""
        self._look_for(plain)
        return self._known(plain)

    async def checked(self, plain: str) -> Key:
        """The same without holding up others. Where the store has to be read, all who come meanwhile wait for the one
        look at it, and share what becomes of that."""
        if not self._is_at_hand(plain):
            if self._reading is None or self._reading.done():
                self._reading = asyncio.get_running_loop().run_in_executor(self._reader, self._read)
            await asyncio.shield(self._reading)
        return self._known(plain)

    def _known(self, plain: str) -> Key:
        known, expires_at, key = self._by_prefix.get(prefix_of(plain), (b"", None, None))
        # The comparison runs also for unknown prefixes, so that its time tells nothing of the secret.
        same = hmac.compare_digest(known, hash_of(plain))
        if key is None or not same or (expires_at is not None and expires_at <= self._clock()):
            raise Problem(401, "this key is unknown, expired or revoked")
        self._used[key.name] = self._clock()
        return key

    def named(self, name: str) -> Key | None:
        """Of a session's key, which is used by that."""
        self._refresh()
        if name not in self._by_name:
            self._look_again()
        if key := self._by_name.get(name):
            self._used[name] = self._clock()
        return key

    def take_uses(self) -> dict[str, int]:
        """When each key was used last, in ms, of those that were used since this was asked."""
        used, self._used = self._used, {}
        return dict(used)  # whoever looked up a key meanwhile may still write into the old one

    def _is_at_hand(self, plain: str) -> bool:
        return self._is_fresh() and (prefix_of(plain) in self._by_prefix or not self._may_look())

    def _is_fresh(self) -> bool:
        return 0 <= self._clock() - self._read_at < REFRESH_SECONDS * 1000  # a clock may be set back

    def _may_look(self) -> bool:
        return not 0 <= self._clock() - max(self._read_at, self._missed_at) < MISSED_SECONDS * 1000

    def _look_for(self, plain: str) -> None:
        self._refresh()
        if prefix_of(plain) not in self._by_prefix:
            self._look_again()

    def _look_again(self) -> None:
        """Unless the store has just been looked at."""
        if self._may_look():
            self._missed_at = self._clock()
            self._read()

    def _refresh(self) -> None:
        if not self._is_fresh():
            self._read()

    def _read(self) -> None:
        now = self._clock()
        with self._store.read() as tx:
            rows = tx.execute(select(keys).where(keys.c.revoked_at.is_(None))).all()
        self._by_prefix = {row.prefix: (row.hash, row.expires_at, key_of(row)) for row in rows}
        self._by_name = {key.name: key for _, expires, key in self._by_prefix.values() if not expires or expires > now}
        self._read_at = now


def borne(authorization: str | None) -> str:
    """The key in the header. Raises Problem 401 without one."""
    scheme, _, plain = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not plain.strip():
        raise Problem(401, "send your key as `Authorization: Bearer KEY`, or sign in by POST /api/v1/session")
    return plain.strip()
