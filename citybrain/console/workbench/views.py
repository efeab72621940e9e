"""Saved views 常用视图: a person keeps the filters of the queue under a name, and finds them wherever they sign in."""

from typing import NamedTuple
from urllib.parse import parse_qsl

from fastapi import Request, Response
from sqlalchemy import Connection, delete, func, select

from citybrain.access import Here
from citybrain.console.door import Posted, Visitor, one, page_routes, see
from citybrain.console.workbench.filters import ASKED, href
from citybrain.keys import Key, May
from citybrain.problem import Problem, invalid
from citybrain.store.upsert import insert_or
from citybrain.store.view_tables import views

MOST = 30
LONGEST = 40  # characters of a name

routes = page_routes()


class View(NamedTuple):
    name: str
    href: str


def views_of(tx: Connection, key: Key) -> list[View]:
    """In the order in which they were first saved."""
    mine = select(views).where(views.c.key_name == key.name).order_by(views.c.saved_at, views.c.name)
    return [View(row.name, f"/cases?{row.query}") for row in tx.execute(mine)]


@routes.post("/views")
def save(request: Request, key: Visitor, here: Here, fields: Posted) -> Response:
    """Saves the filters under a name; the same name again takes the new ones."""
    key.require(May.READ_CASES)
    name = (one(fields, "name") or "")[:LONGEST]
    if not name:
        raise invalid("name", "requires it", "a name for the view")
    given = parse_qsl(one(fields, "query") or "", max_num_fields=50)
    kept = {field: text[:100] for field, text in given if field in ASKED and text}
    query = href(kept, {}, "").removeprefix("?")
    with here.store.write() as tx:
        number = tx.execute(select(func.count()).where(views.c.key_name == key.name)).scalar_one()
        if number >= MOST:
            raise Problem(409, f"at most {MOST} views: remove one first")
        row = {"key_name": key.name, "name": name, "query": query, "saved_at": here.clock()}
        saved = insert_or(tx.dialect, views).values(row)
        tx.execute(saved.on_conflict_do_update(index_elements=["key_name", "name"], set_={"query": query}))
    return see(f"/cases?{query}" if query else "/cases")


@routes.post("/views/remove")
def remove(key: Visitor, here: Here, fields: Posted) -> Response:
    with here.store.write() as tx:
        tx.execute(delete(views).where(views.c.key_name == key.name, views.c.name == (one(fields, "name") or "")))
    return see("/cases")
