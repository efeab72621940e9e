"""Keys for the administrator: made, listed and ended, checked against this city. The page and the command line do it
through here too; `citybrain.keys` keeps them."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import ColumnElement, Row, and_, select

from citybrain.access import Asker, Here, JsonBody, described
from citybrain.clock import rfc3339
from citybrain.installation import Installation
from citybrain.keys import May, Role, create_key, has_admin, revoke_key
from citybrain.listing import Cursor, Limit, Word, page
from citybrain.problem import Problem, field_errors, invalid
from citybrain.store.tables import keys
from geo.datum import check_datum
from geo.mistake import did_you_mean

DAY_MS = 86_400_000
STATES = ("valid", "expired", "revoked")
Code = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64)]

routes = APIRouter(prefix="/api/v1", tags=["keys 密钥"])


class NewKey(BaseModel):
    """What a key may reach; what is empty is not limited."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    name: Annotated[str, StringConstraints(strict=True)]
    domains: list[Code] = Field([], max_length=100)
    divisions: list[Code] = Field([], max_length=3_000)
    departments: list[Code] = Field([], max_length=1_000)
    duties: list[Code] = Field([], max_length=50, description="of an operator; empty: all")
    datum: Code | None = Field(None, description="of coordinates that do not say theirs")
    days: Annotated[int, Field(strict=True, ge=1, le=3_650)] | None = Field(
        None, description="how long it is valid; without it, until it is ended"
    )


@routes.post("/keys", status_code=201, openapi_extra=described(NewKey))
def create(key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """The answer carries the `key`, this once: only its hash is kept."""
    key.require(May.MANAGE)
    try:
        asked = NewKey.model_validate(body)
    except ValidationError as error:
        errors = field_errors(error.errors(), here.remedies)
        raise Problem(422, f"key: {errors[0].field}: {errors[0].message}", errors=errors) from None
    plain = make(here, asked, key.name)
    with here.store.read() as tx:
        row = tx.execute(select(keys).where(keys.c.name == asked.name)).one()
    return _shown(row, here) | {"key": plain}


@routes.get("/keys")
def list_keys(key: Asker, here: Here, state: Word = None, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    """By name, never the keys themselves; `state`: valid, expired, revoked."""
    key.require_any(May.MANAGE, May.AUDIT)
    query = select(keys)
    if state:
        query = query.where(in_state(state, here.clock()))
    with here.store.read() as tx:
        return page(tx, query, [(keys.c.name, False)], cursor, limit, lambda row: _shown(row, here))


@routes.delete("/keys/{name}", status_code=204)
def end(name: str, key: Asker, here: Here) -> Response:
    """Refused from now on, with the sessions that were opened by it. A name is not used twice: the ledger names it."""
    key.require(May.MANAGE)
    now = here.clock()
    with here.store.write() as tx:
        revoke_key(tx, name, now, key.name)
        if not has_admin(tx, now):
            raise Problem(409, f"{name!r} is the last admin key: make another one before you end it")
    return Response(status_code=204)


def make(here: Installation, asked: NewKey, actor: str) -> str:
    """Returns the key, which is shown this once."""
    known: dict[str, Any] = {
        "domains": here.domains,
        "divisions": here.city.divisions,
        "departments": here.city.departments,
        "duties": here.city.practice.duties,
    }
    if asked.duties and asked.role is not Role.OPERATOR:
        raise invalid("duties", f"a key of the role {asked.role} has none", "duties divide what an operator may")
    scope: dict[str, Any] = {name: _known(name, getattr(asked, name), codes) for name, codes in known.items()}
    if asked.datum:
        try:
            check_datum(asked.datum)
        except ValueError as error:
            raise invalid("datum", str(error), "name the datum of the source's devices") from None
    now = here.clock()
    expires_at = now + asked.days * DAY_MS if asked.days else None
    with here.store.write() as tx:
        return create_key(tx, asked.name, asked.role, now, actor, datum=asked.datum, expires_at=expires_at, **scope)


def state_of(row: Row[Any], now: int) -> str:
    return "revoked" if row.revoked_at else "expired" if row.expires_at and row.expires_at <= now else "valid"


def in_state(state: str, now: int) -> ColumnElement[bool]:
    """The keys of which `state_of` says this."""
    ended, lasting = keys.c.revoked_at.isnot(None), keys.c.expires_at.is_(None) | (keys.c.expires_at > now)
    conditions: Mapping[str, ColumnElement[bool]] = {
        "valid": and_(~ended, lasting),
        "expired": and_(~ended, ~lasting),
        "revoked": ended,
    }
    if state not in conditions:
        raise invalid("state", f"{state!r} is no state of a key", "one of " + ", ".join(STATES))
    return conditions[state]


def _known(name: str, codes: list[str], known: Any) -> list[str]:
    for code in codes:
        if code not in known:
            such = f"such as {next(iter(known))}" if known else "there are none"
            raise invalid(name, f"{code!r} is none of this city's {name}", such + did_you_mean(code, known))
    return codes


def _shown(row: Row[Any], here: Installation) -> dict[str, Any]:
    plain = ("name", "role", "domains", "divisions", "departments", "duties", "datum", "demo")
    moments = ("created_at", "used_at", "expires_at", "revoked_at")
    shown = {name: getattr(row, name) for name in plain} | {"state": state_of(row, here.clock())}
    return shown | {name: rfc3339(getattr(row, name), here.city.zone) for name in moments}
