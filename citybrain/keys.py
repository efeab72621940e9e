"""Keys: who is asking, what their role may do, and the predicate that limits every query to what is theirs."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    bindparam,
    exists,
    false,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    true,
    update,
)

from citybrain.problem import Problem
from citybrain.store.ledger import Entry, append_to_city, lock_city
from citybrain.store.tables import cases, events, keys, sessions, work_orders
from citybrain.store.upsert import insert_or
from geo.place import PLACE_LEVELS

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
SESSION_MS = 12 * 3600 * 1000  # one shift
WALL_MS = 30 * 24 * 3600 * 1000  # of a session that can only look at the wall
# Asked for in place of a division code: what has no place in the city, and what has one but no division of a level.
UNLOCATED = "none"
WITHOUT = "no-"  # `no-county`


class Role(StrEnum):
    SOURCE = "source"
    WORKER = "worker"
    OPERATOR = "operator"
    SYSTEM = "system"
    AUDITOR = "auditor"
    ADMIN = "admin"


class May(StrEnum):
    POST = "post events"
    READ_EVENTS = "read events"
    READ_CASES = "read cases"
    ACT = "act on cases"
    VERIFY = "verify cases"
    FEEDBACK = "give feedback"
    READ_DISPATCH = "read endpoints and deliveries"
    RETRY = "retry deliveries"
    MANAGE = "manage endpoints and keys"
    QUEUES = "read the queues"
    UNMASK = "see who reported"
    INDICATORS = "read the indicators"
    AUDIT = "read the ledger's roots"
    READ_EDITIONS = "read editions of the boundaries"
    LOAD_EDITIONS = "load and activate editions of the boundaries"


_RIGHTS: dict[Role, frozenset[May]] = {
    Role.SOURCE: frozenset({May.POST, May.READ_EVENTS}),
    Role.WORKER: frozenset({May.POST, May.READ_EVENTS, May.READ_CASES, May.VERIFY}),
    Role.OPERATOR: frozenset(
        {May.READ_EVENTS, May.READ_CASES, May.ACT, May.VERIFY, May.READ_DISPATCH, May.RETRY, May.QUEUES}
        | {May.INDICATORS, May.READ_EDITIONS}
    ),
    Role.SYSTEM: frozenset({May.READ_CASES, May.FEEDBACK}),
    Role.AUDITOR: frozenset(
        {May.READ_EVENTS, May.READ_CASES, May.READ_DISPATCH, May.QUEUES, May.UNMASK, May.INDICATORS}
        | {May.AUDIT, May.READ_EDITIONS}
    ),
    Role.ADMIN: frozenset(May) - {May.UNMASK},
}


class Divided(Protocol):
    """What a scope needs to know of the city: on which level a division lies, and what stands below a department."""

    def level_of(self, code: str) -> str | None: ...
    def departments_below(self, code: str) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    role: Role
    domains: frozenset[str]  # empty: all
    divisions: frozenset[str]
    departments: frozenset[str]
    datum: str | None = None
    demo: bool = False
    duties: frozenset[str] = frozenset()  # of an operator; empty: all that the role may
    csrf: str | None = None  # set when the key came by a session cookie

    def may(self, right: May) -> bool:
        return right in _RIGHTS[self.role]

    def require(self, right: May) -> None:
        if not self.may(right):
            raise Problem(403, f"the role {self.role} may not {right}")

    def require_any(self, *rights: May) -> None:
        if not any(map(self.may, rights)):
            raise Problem(403, f"the role {self.role} may not {rights[0]}")


def within(key: Key, city: Divided, table: Table) -> ColumnElement[bool]:
    """The rows of a table with domain and located levels that lie in the key's domains and divisions."""
    clauses: list[ColumnElement[bool]] = []
    if key.domains:
        clauses.append(table.c.domain.in_(sorted(key.domains)))
    if key.divisions:
        clauses.append(in_divisions(key.divisions, city, table))
    return and_(true(), *clauses)


def in_divisions(divisions: Iterable[str], city: Divided, table: Table) -> ColumnElement[bool]:
    """The rows that lie in any of these divisions; UNLOCATED stands for those that lie in none, `no-county` for those
    that lie in some, but in none of that level."""
    by_level: dict[str, list[str]] = {}
    clauses: list[ColumnElement[bool]] = [false()]
    for code in sorted(divisions):
        level = city.level_of(code)
        if level == "city":
            return true()
        if level:
            by_level.setdefault(level, []).append(code)
        elif code == UNLOCATED:
            clauses.append(not_(located(table)))
        elif code.startswith(WITHOUT) and code.removeprefix(WITHOUT) in PLACE_LEVELS:
            clauses.append(located(table) & table.c[code.removeprefix(WITHOUT)].is_(None))
    return or_(*clauses, *(table.c[level].in_(codes) for level, codes in by_level.items()))


def narrowed(key: Key) -> bool:
    """Whether it sees less than everything."""
    return bool(key.domains or key.divisions or key.departments)


def located(table: Table) -> ColumnElement[bool]:
    """Whether any level was found: where levels do not nest, the coarsest may be missing alone."""
    return or_(*(table.c[level].isnot(None) for level in PLACE_LEVELS))


def events_visible(key: Key, city: Divided) -> ColumnElement[bool]:
    if key.role in (Role.SOURCE, Role.WORKER):
        return events.c.source == key.name
    return within(key, city, events)


def work_orders_visible(key: Key, city: Divided) -> ColumnElement[bool]:
    """A system with departments sees theirs and those below; one without, those of the cases in its scope."""
    if key.role is Role.SYSTEM and key.departments:
        codes = frozenset().union(*(city.departments_below(code) for code in key.departments))
        return work_orders.c.department.in_(sorted(codes))
    return any_of(cases, cases.c.id == work_orders.c.case_id, within(key, city, cases))


def any_of(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether there is such a row, asked for each that is looked at: of what `IN` a query finds, SQLite makes a list of
    all there ever was."""
    return exists(select(literal_column("1")).select_from(table).where(*conditions).correlate_except(table))


def cases_visible(key: Key, city: Divided) -> ColumnElement[bool]:
    if key.role is Role.SYSTEM and key.departments:
        return ordered_from(work_orders_visible(key, city))
    return within(key, city, cases)


def ordered_from(departments: ColumnElement[bool]) -> ColumnElement[bool]:
    """The cases with an order of which this holds: asked case by case, since a department has had millions."""
    return any_of(work_orders, work_orders.c.case_id == cases.c.id, departments)


def create_key(
    tx: Connection, name: str, role: str, now: int, actor: str, *, plain: str | None = None, **scope: Any
) -> str:
    """Stores the hash and returns the key, which is shown this once. Raises Problem for a bad or taken name."""
    if not NAME.fullmatch(name):
        raise Problem(422, f"name {name!r}: letters, digits and . _ @ - only, 64 at most")
    plain = plain or f"cb{secrets.token_hex(5)}.{secrets.token_urlsafe(32)}"
    made = tx.execute(
        insert_or(tx.dialect, keys).values(
            name=name,
            prefix=prefix_of(plain),
            hash=hash_of(plain),
            role=Role(role).value,
            domains=sorted(scope.get("domains", ())),
            divisions=sorted(scope.get("divisions", ())),
            departments=sorted(scope.get("departments", ())),
            duties=sorted(scope.get("duties", ())),
            datum=scope.get("datum"),
            demo=scope.get("demo", False),
            created_at=now,
            expires_at=scope.get("expires_at"),
        ).on_conflict_do_nothing()
        .returning(keys.c.name)
    )  # fmt: skip
    if made.first() is None:
        raise Problem(409, f"a key named {name!r} exists or existed; names are not used twice: the ledger names them")
    duties = {"duties": sorted(scope["duties"])} if scope.get("duties") else {}
    append_to_city(tx, Entry("key.created", actor, {"name": name, "role": role, **duties}), now)
    return plain


def ensure_admin(tx: Connection, plain: str, now: int) -> None:
    """Makes `plain` the one admin key: at the first start, and whenever the installation is given another."""
    lock_city(tx)  # several machines may start at once
    same = (keys.c.role == Role.ADMIN) & (keys.c.prefix == prefix_of(plain)) & keys.c.revoked_at.is_(None)
    if tx.execute(select(keys.c.name).where(same)).first():
        return
    if is_known(tx, plain):
        raise Problem(409, "CITYBRAIN_ADMIN_KEY is a key that was revoked, or somebody else's: give a new one")
    tx.execute(update(keys).where(keys.c.name.like("admin%"), keys.c.role == Role.ADMIN).values(revoked_at=now))
    number = len(tx.execute(select(keys.c.name).where(keys.c.role == Role.ADMIN)).all())
    create_key(tx, "admin" if not number else f"admin-{number + 1}", Role.ADMIN, now, "installation", plain=plain)


def has_admin(tx: Connection, now: int) -> bool:
    """Whether anybody can administer this installation."""
    lasting = keys.c.expires_at.is_(None) | (keys.c.expires_at > now)
    valid = (keys.c.role == Role.ADMIN) & keys.c.revoked_at.is_(None) & lasting
    return tx.execute(select(keys.c.name).where(valid).limit(1)).first() is not None


def is_known(tx: Connection, plain: str) -> bool:
    """Whether this key was ever given out, valid or not."""
    return tx.execute(select(keys.c.name).where(keys.c.prefix == prefix_of(plain))).first() is not None


def revoke_key(tx: Connection, name: str, now: int, actor: str) -> None:
    found = tx.execute(update(keys).where(keys.c.name == name, keys.c.revoked_at.is_(None)).values(revoked_at=now))
    if not found.rowcount:
        raise Problem(404, f"no valid key named {name!r}")
    append_to_city(tx, Entry("key.revoked", actor, {"name": name}), now)


def record_uses(tx: Connection, used: Mapping[str, int]) -> None:
    """When keys were used last, in ms by name; another process may have seen a later use."""
    mine = (keys.c.name == bindparam("of")) & (func.coalesce(keys.c.used_at, 0) < bindparam("at"))
    tx.execute(
        update(keys).where(mine).values(used_at=bindparam("at")), [{"of": name, "at": at} for name, at in used.items()]
    )


def open_session(tx: Connection, key: Key, now: int, *, wall: bool = False) -> tuple[str, str]:
    """A browser's session: the cookie's value and the token that its writes must repeat. One for the wall has none, so
    that it can write nothing, and lasts as long as nobody comes by to sign in."""
    token, csrf = secrets.token_urlsafe(32), "" if wall else secrets.token_urlsafe(24)
    ends = now + (WALL_MS if wall else SESSION_MS)
    tx.execute(insert(sessions).values(token_hash=hash_of(token), key_name=key.name, csrf=csrf, expires_at=ends))
    return token, csrf


def session_of(tx: Connection, token: str, now: int) -> tuple[str, str] | None:
    """The key's name and the CSRF token of a session that still runs."""
    found = (sessions.c.token_hash == hash_of(token)) & (sessions.c.expires_at > now)
    row = tx.execute(select(sessions.c.key_name, sessions.c.csrf).where(found)).first()
    return (row.key_name, row.csrf) if row else None


def close_session(tx: Connection, token: str) -> None:
    tx.execute(sessions.delete().where(sessions.c.token_hash == hash_of(token)))


def end_sessions(tx: Connection, now: int) -> None:
    """Forgets those whose time is over: nothing else does where nobody signs out."""
    tx.execute(sessions.delete().where(sessions.c.expires_at <= now))


def mask(reporter: Mapping[str, Any] | None) -> dict[str, str | None] | None:
    """Enough to recognise a person that one knows already: 陈**, 138****0000."""
    if reporter is None:
        return None
    name, phone = reporter.get("name"), reporter.get("phone")
    return {
        "name": f"{name[0]}**" if name else None,
        "phone": f"{phone[:3]}****{phone[-4:]}" if phone and len(phone) >= 9 else ("****" if phone else None),
    }


def key_of(row: Row[Any]) -> Key:
    return Key(
        row.name,
        Role(row.role),
        frozenset(row.domains),
        frozenset(row.divisions),
        frozenset(row.departments),
        row.datum,
        row.demo,
        frozenset(row.duties),
    )


def prefix_of(plain: str) -> str:
    """The part that finds the key: before the dot, or, for a key of other make, a few digits of its hash."""
    prefix, dot, _ = plain.partition(".")
    return prefix if dot else hashlib.sha256(plain.encode()).hexdigest()[:12]


def hash_of(plain: str) -> bytes:
    # Keys are 256 random bits: a fast hash is enough, there is nothing to guess.
    return hashlib.sha256(plain.encode()).digest()
