"""Silences 静默, for operators: set, looked at, ended before their time."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Row, select

from citybrain.access import Asker, Here
from citybrain.casework import silences as kept
from citybrain.installation import Installation
from citybrain.keys import Key, May
from citybrain.problem import not_found
from citybrain.store.silence_tables import silences
from citybrain.words import Sentence

routes = APIRouter(prefix="/api/v1/silences", tags=["silences 静默"])
SHOWN = 500


class Ending(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Sentence


@routes.get("")
def list_silences(
    key: Asker, here: Here, active: Annotated[bool | None, Query(description="those that have not ended")] = None
) -> dict[str, Any]:
    """The newest first."""
    key.require(May.QUEUES)
    query = select(silences).order_by(silences.c.id.desc()).limit(SHOWN)
    if active is not None:
        query = query.where((silences.c.ends_at > here.clock()).is_(active))
    with here.store.read() as tx:
        rows = [row for row in tx.execute(query) if kept.visible(row, key, here.city)]
        return {"items": _shown(tx, rows, here), "next": None}


@routes.post("", status_code=201)
def set_silence(key: Asker, here: Here, body: kept.NewSilence) -> dict[str, Any]:
    """Events of the domain that match are kept as cases and dispatched to nobody until `ends_at`, 31 days at most.
    Empty lists match all. Grades Ⅰ and Ⅱ are never silenced. `GET /api/v1/cases?muted=true` has what was muted."""
    key.require(May.ACT)
    with here.store.write() as tx:
        return _shown(tx, [kept.silence(tx, body, key, here, here.clock())], here)[0]


@routes.get("/{silence_id}")
def show_silence(silence_id: str, key: Asker, here: Here) -> dict[str, Any]:
    key.require(May.QUEUES)
    with here.store.read() as tx:
        return _shown(tx, [_visible(tx, silence_id, key, here)], here)[0]


@routes.post("/{silence_id}/end")
def end_silence(silence_id: str, key: Asker, here: Here, body: Ending) -> dict[str, Any]:
    """Before its time; what it has muted waits for a dispatcher then."""
    key.require(May.ACT)

    def do(tx: Connection) -> dict[str, Any]:
        _visible(tx, silence_id, key, here)
        kept.end(tx, silence_id, body.reason, key, here.clock())
        return _shown(tx, [_visible(tx, silence_id, key, here)], here)[0]

    return here.store.transact(do)


def _visible(tx: Connection, silence_id: str, key: Key, here: Installation) -> Row[Any]:
    row = tx.execute(select(silences).where(silences.c.id == silence_id)).first()
    if row is None or not kept.visible(row, key, here.city):
        raise not_found("silence")
    return row


def _shown(tx: Connection, rows: list[Row[Any]], here: Installation) -> list[dict[str, Any]]:
    counted = kept.counted(tx, [row.id for row in rows]) if rows else {}
    return [kept.silence_dict(row, counted.get(row.id, (0, 0)), here.city, here.clock()) for row in rows]
