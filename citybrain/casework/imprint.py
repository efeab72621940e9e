"""The imprint of a case: a digest of it and its work orders, which the ledger keeps with every decision, so that a row
that was changed behind the service's back shows. Written by `writing`, compared by `citybrain check --store`."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Column, Float

from citybrain.store.tables import cases, work_orders

# The chain's own head, checked with the chain; what says whether further reports join, or when patrol looks next; what
# follows from the place.
ELSEWHERE = frozenset({"entries", "head", "merge_key", "last_event_at", "look_at", "lng", "lat"})
Field = tuple[str, bool, bool]  # name, whether it is a number with a fraction, whether nothing is told by a default


def _fields(columns: Iterable[Column[Any]]) -> list[Field]:
    return [(str(each.name), isinstance(each.type, Float), each.server_default is not None) for each in columns]


CASE = _fields(column for column in cases.c if column.name not in ELSEWHERE)
ORDER = _fields(work_orders.c)


def imprint(case: Mapping[str, Any], orders: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over the columns that have a value, so that a column which a later version adds changes nothing."""
    told = [_told(order, ORDER) for order in sorted(orders, key=lambda order: str(order["id"]))]
    return hashlib.sha256(orjson.dumps([_told(case, CASE), told], option=orjson.OPT_SORT_KEYS)).hexdigest()


def _told(row: Mapping[str, Any], fields: Iterable[Field]) -> dict[str, Any]:
    return {
        name: float(value) if fraction else value
        for name, fraction, defaults in fields
        if (value := row.get(name)) is not None and (value or not defaults)
    }
