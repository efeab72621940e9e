"""An endpoint 对接端点: where a domain system receives webhooks. Created, changed, disabled, its secret rotated."""

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import Connection, Row, insert, select, update

from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.dispatch import switching
from citybrain.dispatch.address import AddressRefused, AllowList
from citybrain.dispatch.breaker import ANEW
from citybrain.dispatch.outbox import adopt, orphan, state_at
from citybrain.dispatch.signature import NO_SM3, V1, new_secret, sm3_is_here
from citybrain.dispatch.turns import lane_of
from citybrain.installation import Installation
from citybrain.problem import Problem, field_errors, invalid, not_found
from citybrain.store.dispatch_tables import deliveries, endpoints
from citybrain.store.ids import new_id
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.locks import Lock, take

OVERLAP_MS = 24 * 3600 * 1000  # so long a secret signs on after it was replaced
MOST_SECRETS = 5  # that sign at once: each is a signature more in every message
Name = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=100)]
Code = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64)]


class EndpointChange(BaseModel):
    """What may be set; in a PATCH what is left out stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name | None = None
    department: Code | None = None
    url: Annotated[str, StringConstraints(strict=True, max_length=2000)] | None = None
    domains: list[Code] | None = Field(None, max_length=100)
    divisions: list[Code] | None = Field(None, max_length=1000)
    types: list[Code] | None = Field(None, max_length=1000)
    unmasked: Annotated[bool, Field(strict=True)] | None = Field(None, description="may see who reported")
    signatures: Annotated[list[Literal["v1", "v1sm3"]], Field(min_length=1, max_length=2)] | None = None
    concurrency: Annotated[int, Field(strict=True, ge=1, le=1_000)] | None = Field(
        None, description="messages on their way at once; without it, as many as the endpoint bears"
    )
    per_minute: Annotated[int, Field(strict=True, ge=1, le=60_000)] | None = None


def parse_change(raw: Any, installation: Installation) -> dict[str, Any]:
    """The columns to set, everything in them known to this city and reachable from here."""
    try:
        change = EndpointChange.model_validate(raw).model_dump(exclude_unset=True)
    except ValidationError as error:
        errors = field_errors(error.errors(include_url=False, include_context=False, include_input=False))
        raise Problem(422, f"endpoint: {errors[0].field}: {errors[0].message}", errors=errors) from None
    if change.get("url") is not None:
        try:
            AllowList.parse(",".join(installation.config.webhook_allow)).check_url(change["url"])
        except AddressRefused as error:
            raise invalid("url", error.reason, error.remedy) from None
    if "v1sm3" in (change.get("signatures") or ()) and not sm3_is_here():
        raise invalid("signatures", NO_SM3, "leave v1sm3 out, or run the API and the workers on another build")
    _check_codes(change, installation)
    return change


def _check_codes(change: dict[str, Any], installation: Installation) -> None:
    city = installation.city
    types = {code for domain in installation.domains.values() for code in domain.catalogue.types}
    known: dict[str, Any] = {"domains": installation.domains, "divisions": city.divisions, "types": types}
    if change.get("department") and change["department"] not in city.departments:
        raise invalid("department", f"no department {change['department']!r}", "see GET /api/v1/departments")
    for name, codes in known.items():
        for code in change.get(name) or []:
            if code not in codes:
                raise invalid(name, f"{code!r} is none of this city's {name}", f"see GET /api/v1/{name}")


def create(tx: Connection, change: dict[str, Any], city: City, actor: str, now: int, *, demo: bool = False) -> str:
    """Returns its id. What was held for want of an endpoint is now due to it."""
    for name in ("name", "url"):
        if not change.get(name):
            raise invalid(name, "it is required", "add it to the body")
    take(tx, Lock.ENDPOINTS)
    _check_name(tx, change["name"], None)
    row: dict[str, Any] = {"department": None, "unmasked": False} | {
        name: v for name, v in change.items() if v is not None
    }
    row |= {name: row.get(name) or [] for name in ("domains", "divisions", "types")}
    row |= {"signatures": list(dict.fromkeys(row.get("signatures") or [V1]))}
    row |= {"id": new_id(), "secrets": [{"secret": new_secret(), "until": None}], "enabled": True, "demo": demo}
    tx.execute(insert(endpoints).values(**row, failures=0, created_at=now, state_since=now))
    adopt(tx, find(tx, row["id"]), city, now)
    log_change(tx, "endpoint.created", row["id"], actor, now, name=row["name"], url=row["url"])
    return str(row["id"])


def change_endpoint(tx: Connection, endpoint_id: str, change: dict[str, Any], city: City, actor: str, now: int) -> None:
    find_to_change(tx, endpoint_id)
    if change.get("name"):
        _check_name(tx, change["name"], endpoint_id)
    empty: dict[str, Any] = {"domains": [], "divisions": [], "types": [], "signatures": [V1]}
    values = {name: empty.get(name) if value is None else value for name, value in change.items()}
    for name in ("name", "url", "unmasked"):
        if name in values and values[name] is None:
            raise invalid(name, "it cannot be empty", "leave it out, or give a value")
    if values.get("url"):
        values |= ANEW | {"state_since": now}
    if values:
        tx.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))
    adopt(tx, find(tx, endpoint_id), city, now)
    log_change(tx, "endpoint.changed", endpoint_id, actor, now, changed=sorted(change))


def sign_until(row: Row[Any], now: int) -> int | None:
    """Until when secrets before this one sign too."""
    times: list[int] = [each["until"] for each in row.secrets if each["until"] and each["until"] > now]
    return max(times, default=None)


def rotate_secret(tx: Connection, endpoint_id: str, actor: str, now: int, seen: int | None = None) -> str:
    """Every secret signs on for a day after it was replaced: a receiver that has not taken over the one before misses
    nothing. `seen`: until when secrets before sign, as somebody knew it who asked; 0: no longer. Who asks twice by
    mistake would give the receiver the wrong one. Raises Problem 409."""
    row = find_to_change(tx, endpoint_id)
    if seen is not None and seen != (sign_until(row, now) or 0):
        raise Problem(409, "the secret was rotated meanwhile; nothing was changed: look again before the next rotation")
    secret, (present, *before) = new_secret(), row.secrets
    still = [present | {"until": now + OVERLAP_MS}, *(each for each in before if each["until"] > now)]
    if len(still) >= MOST_SECRETS:
        until = rfc3339(still[-1]["until"], UTC)
        raise Problem(409, f"{len(still)} secrets sign already, as many as can: wait until {until}", until=until)
    secrets = [{"secret": secret, "until": None}, *still]
    tx.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(secrets=secrets))
    log_change(tx, "endpoint.secret_rotated", endpoint_id, actor, now)
    return secret


def set_enabled(tx: Connection, endpoint_id: str, enabled: bool, actor: str, now: int) -> None:
    """While disabled nothing is skipped: what it should get is held, and released when it is enabled; what is left of
    that to `switching.finish`."""
    find_to_change(tx, endpoint_id)
    values = {"enabled": enabled, "disabled_because": None if enabled else "by hand", "state_since": now, **ANEW}
    tx.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))
    switching.begin(tx, endpoint_id, now)
    log_change(tx, "endpoint.enabled" if enabled else "endpoint.disabled", endpoint_id, actor, now)


def delete(tx: Connection, endpoint_id: str, actor: str, now: int) -> None:
    row = find_to_change(tx, endpoint_id)
    orphan(tx, endpoint_id)
    gone = f"{row.name} (deleted {endpoint_id[-6:]})"
    tx.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(deleted_at=now, enabled=False, name=gone))
    log_change(tx, "endpoint.deleted", endpoint_id, actor, now, name=row.name)


def send_test(tx: Connection, endpoint_id: str, city: City, actor: str, now: int) -> str:
    """A delivery of type `endpoint.test` on the ordinary way; returns its id."""
    row = find_to_change(tx, endpoint_id)
    data = {"endpoint": {"id": row.id, "name": row.name}, "by": actor}
    body = orjson.dumps({"type": "endpoint.test", "timestamp": rfc3339(now, city.zone), "data": data}).decode()
    message_id = f"msg_{new_id()}"
    tx.execute(
        insert(deliveries).values(
            id=message_id, endpoint_id=endpoint_id, case_order=0, type="endpoint.test", grade=1, body=body,
            created_at=now, due_at=now, lane=lane_of(row.id, 1, None, None), **state_at(row),
        )
    )  # fmt: skip
    return message_id


def find(tx: Connection, endpoint_id: str) -> Row[Any]:
    row = tx.execute(select(endpoints).where(endpoints.c.id == endpoint_id, endpoints.c.deleted_at.is_(None))).first()
    if row is None:
        raise not_found("endpoint")
    return row


def find_to_change(tx: Connection, endpoint_id: str) -> Row[Any]:
    """Nobody addresses, sends or settles anything by what it was, until the transaction has ended."""
    take(tx, Lock.ENDPOINTS)
    tx.execute(select(endpoints.c.id).where(endpoints.c.id == endpoint_id).with_for_update(key_share=True))
    return find(tx, endpoint_id)


def as_dict(row: Row[Any], city: City, health: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but the secrets."""
    plain = (
        "id",
        "name",
        "department",
        "url",
        "domains",
        "divisions",
        "types",
        "unmasked",
        "signatures",
        "concurrency",
    )
    return {name: getattr(row, name) for name in (*plain, "per_minute", "enabled", "disabled_because")} | {
        "health": dict(health),
        "created_at": rfc3339(row.created_at, city.zone),
    }


def _check_name(tx: Connection, name: str, own_id: str | None) -> None:
    other = tx.execute(select(endpoints.c.id).where(endpoints.c.name == name)).scalar()
    if other is not None and other != own_id:
        raise Problem(409, f"an endpoint named {name!r} exists already: {other}")


def log_change(tx: Connection, action: str, endpoint_id: str, actor: str, now: int, **data: Any) -> None:
    append_to_city(tx, Entry(action, actor, {"endpoint": endpoint_id, **data}), now)
