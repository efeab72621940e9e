"""`citybrain keys`: created and revoked on the machine that holds the store, checked against this city."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from citybrain.installation import Installation
from citybrain.keys import Role, create_key, revoke_key
from citybrain.problem import invalid
from citybrain.store.tables import keys
from geo.datum import check_datum
from geo.mistake import did_you_mean

ACTOR = "command line"


def create(here: Installation, role: str, name: str, days: int | None, scope: dict[str, Any]) -> str:
    known: dict[str, Any] = {
        "domains": here.domains,
        "divisions": here.city.divisions,
        "departments": here.city.departments,
    }
    if scope.get("duties") and role != Role.OPERATOR:
        raise invalid("duties", f"a key of the role {role} has none", "duties divide what an operator may")
    known["duties"] = here.city.practice.duties
    chosen: dict[str, Any] = {option: _codes(option, scope.get(option, ""), known[option]) for option in known}
    if scope.get("datum"):
        try:
            check_datum(scope["datum"])
        except ValueError as error:
            raise invalid("datum", str(error), "name the datum of the source's devices") from None
    now = here.clock()
    expires_at = now + days * 86_400_000 if days else None
    with here.store.write() as tx:
        return create_key(tx, name, role, now, ACTOR, datum=scope.get("datum"), expires_at=expires_at, **chosen)


def lines(here: Installation) -> Iterator[str]:
    with here.store.read() as tx:
        rows = tx.execute(select(keys).order_by(keys.c.name)).all()
    now = here.clock()
    for row in rows:
        state = "revoked" if row.revoked_at else "expired" if row.expires_at and row.expires_at <= now else "valid"
        scopes = (row.domains, row.divisions, row.departments, row.duties)
        scope = ", ".join(code for codes in scopes for code in codes) or "all"
        yield f"{row.name}\t{row.role}\t{state}\t{scope}"


def revoke(here: Installation, name: str) -> None:
    with here.store.write() as tx:
        revoke_key(tx, name, here.clock(), ACTOR)


def _codes(option: str, text: str, known: Any) -> list[str]:
    codes = [code.strip() for code in text.split(",") if code.strip()]
    for code in codes:
        if code not in known:
            such = f"such as {next(iter(known))}" if known else "there are none"
            raise invalid(option, f"{code!r} is none of this city's {option}", such + did_you_mean(code, known))
    return codes
