"""`citybrain keys`: created and revoked on the machine that holds the store, as the administrator does it through the
API."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from citybrain.api.keys import NewKey, make, state_of
from citybrain.installation import Installation
from citybrain.keys import Role, revoke_key
from citybrain.store.tables import keys

ACTOR = "command line"
LISTS = ("domains", "divisions", "departments", "duties")


def create(here: Installation, role: str, name: str, days: int | None, scope: dict[str, Any]) -> str:
    codes = {option: [code.strip() for code in scope.get(option, "").split(",") if code.strip()] for option in LISTS}
    return make(here, NewKey(role=Role(role), name=name, datum=scope.get("datum"), days=days, **codes), ACTOR)


def lines(here: Installation) -> Iterator[str]:
    with here.store.read() as tx:
        rows = tx.execute(select(keys).order_by(keys.c.name)).all()
    now = here.clock()
    for row in rows:
        scopes = (row.domains, row.divisions, row.departments, row.duties)
        scope = ", ".join(code for codes in scopes for code in codes) or "all"
        yield f"{row.name}\t{row.role}\t{state_of(row, now)}\t{scope}"


def revoke(here: Installation, name: str) -> None:
    with here.store.write() as tx:
        revoke_key(tx, name, here.clock(), ACTOR)
