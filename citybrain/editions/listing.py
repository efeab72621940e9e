"""What editions there are, which is in use, and how codes of one lead to codes of another."""

import csv
import io
from typing import Any

from sqlalchemy import BigInteger, Connection, exists, literal, select, true, union_all

from citybrain.clock import rfc3339
from citybrain.editions.loading import faults_of, report_of
from citybrain.installation import Installation
from citybrain.listing import page
from citybrain.problem import Problem, not_found
from citybrain.store.edition_tables import edition_uses, editions
from citybrain.store.editions import Content, activate, find, in_use, is_known, keep_edition
from geo.changes import Part, mapping
from geo.locator import Locator

PACK = "city pack"
NEVER = 0  # in place of when it was loaded
AT_ONCE = 500
SHOWN = ("id", "name", "valid", "loaded_at", "loaded_by")


def listed(here: Installation) -> list[dict[str, Any]]:
    """All of them, in the order of `listed_page`."""
    found = listed_page(here, None, AT_ONCE)
    items: list[dict[str, Any]] = found["items"]
    while cursor := found["next"]:
        found = listed_page(here, cursor, AT_ONCE)
        items += found["items"]
    return items


def listed_page(here: Installation, cursor: str | None, limit: int) -> dict[str, Any]:
    """The newest first; the city pack's own at the end, as long as it was never replaced."""
    loaded = select(*(editions.c[name] for name in SHOWN))
    own = here.city.own_edition
    packed = select(literal(own), literal(PACK), true(), literal(NEVER, BigInteger), literal(PACK))
    all_ = union_all(loaded, packed.where(~exists().where(editions.c.id == own))).subquery()
    with here.store.read() as tx:
        keys = ((all_.c.loaded_at, True), (all_.c.id, False))
        found = page(tx, select(all_), keys, cursor, limit, lambda row: {name: getattr(row, name) for name in SHOWN})
        ids = [item["id"] for item in found["items"]]
        uses = tx.execute(
            select(edition_uses).where(edition_uses.c.edition_id.in_(ids)).order_by(edition_uses.c.number)
        ).all()
        present = in_use(tx) or own
    used = {use.edition_id: {"at": rfc3339(use.at, here.city.zone), "by": use.actor} for use in uses}
    for item in found["items"]:
        at = item["loaded_at"]
        item["loaded_at"] = None if at == NEVER else rfc3339(at, here.city.zone)
        item |= {"in_use": item["id"] == present, "used": used.get(item["id"])}
    return found


def report(here: Installation, id_: str) -> dict[str, Any]:
    """Raises Problem 404."""
    with here.store.read() as tx:
        present = in_use(tx) or here.city.own_edition
        if is_known(tx, id_):
            return {**find(tx, id_).report, "in_use": id_ == present}
    return report_of(locator(here, id_).edition, PACK) | {"in_use": id_ == present}


def fault_layer(here: Installation, id_: str) -> str:
    with here.store.read() as tx:
        if is_known(tx, id_):
            return str(find(tx, id_).faults)
    return faults_of(locator(here, id_).edition)


def locator(here: Installation, id_: str) -> Locator:
    """Raises Problem 404 or, for an edition with errors, 409."""
    found = here.locator_of(id_)
    if found is None:
        with here.store.read() as tx:
            report = find(tx, id_).report if is_known(tx, id_) else None
        if report is None:
            raise not_found("edition")
        raise Problem(409, f"edition {id_} has errors: nothing can be located in it", report=report)
    return found


def take(here: Installation, id_: str, actor: str) -> bool:
    """Activates it, and keeps what it replaces: the city pack's own edition is put into the store when it is about to
    go out of use, or to come back. False where it is in use already."""
    with here.store.read() as tx:
        own_needed = not is_known(tx, here.city.own_edition)
    own = _own(here) if own_needed else None

    def decide(tx: Connection) -> bool:
        if own is not None and (id_ == here.city.own_edition or is_known(tx, id_)):
            keep_edition(tx, *own, here.clock(), PACK)
        if in_use(tx) is None and id_ == here.city.own_edition:
            return False
        return activate(tx, id_, here.clock(), actor)

    changed = here.store.transact(decide)
    here.take_up()
    return changed


def _own(here: Installation) -> tuple[str, str, dict[str, Any], str, Content]:
    id_ = here.city.own_edition
    edition, path = locator(here, id_).edition, here.edition_file(id_)
    if path is None:
        raise RuntimeError(f"edition {id_} was here a moment ago")
    return id_, PACK, report_of(edition, PACK), faults_of(edition), Content.of(path)


def mapping_csv(old: Locator, new: Locator) -> str:
    """Where the ground of each code of `old` lies in `new`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Part._fields)
    writer.writerows(mapping(old.edition.layers, new.edition.layers))
    return out.getvalue()
