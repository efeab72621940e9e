"""The ledger's roots, for auditors who keep them elsewhere."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select
from starlette.responses import StreamingResponse

from citybrain.access import Asker, Here
from citybrain.clock import rfc3339
from citybrain.keys import May
from citybrain.listing import Cursor, Limit, page
from citybrain.store.ledger_tables import roots
from citybrain.store.roots import exported, kept

routes = APIRouter(prefix="/api/v1/ledger", tags=["ledger 台账"])


@routes.get("/roots")
def list_roots(key: Asker, here: Here, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    """The newest first. Patrol makes one every ten minutes in which something was decided."""
    key.require(May.AUDIT)
    query = select(roots.c.number, roots.c.at, roots.c.hash)
    with here.store.read() as tx:
        return page(
            tx, query, [(roots.c.number, True)], cursor, limit,
            lambda row: {"number": row.number, "at": rfc3339(row.at, here.city.zone), "hash": row.hash},
        )  # fmt: skip


@routes.get("/roots.txt")
def export_roots(key: Asker, here: Here, after: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
    """As `citybrain ledger root export` writes them, behind the root `after`: append them to the file that has it."""
    key.require(May.AUDIT)

    def text() -> Iterator[str]:
        with here.store.read() as tx:
            yield from exported(kept(tx, after))

    return StreamingResponse(text(), media_type="text/plain; charset=utf-8")
