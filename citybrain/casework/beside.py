"""What decisions look at beside their cases: the photos that are named, the parts that a case waits for. Asked once for
all actions of a call, not once for each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, select

from citybrain.casework.attachments import cases_of
from citybrain.city import City
from citybrain.keys import Key, cases_visible
from citybrain.store.tables import IN_WORK, cases

Parts = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Beside:
    photos: Mapping[str, str]  # attachment → its case
    open_parts: Parts  # case → the open cases of its divisions

    @classmethod
    def of(cls, tx: Connection, photos: Iterable[str], ending: Iterable[str], key: Key, city: City) -> Self:
        """`photos`: ids that are named, `ending`: the cases that end with their parts. Nothing is asked for none."""
        return cls(cases_of(tx, photos), open_parts(tx, sorted(ending), key, city))


def open_parts(tx: Connection, case_ids: Sequence[str], key: Key, city: City) -> Parts:
    """The oldest first."""
    if not case_ids:
        return {}
    columns = (cases.c.parent_id, cases.c.id, cases.c.number, cases.c.status, cases_visible(key, city).label("seen"))
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in tx.execute(select(*columns).where(cases.c.parent_id.in_(case_ids), IN_WORK).order_by(cases.c.id)):
        found.setdefault(row.parent_id, []).append(dict(row._mapping))
    return found
