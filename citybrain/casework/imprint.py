"""The imprint of a case: a digest of it and its work orders, which the ledger keeps with every decision, so that a row
that was changed behind the service's back shows. Written by `writing`, compared by `citybrain check --store`."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Float

from citybrain.store.tables import cases, work_orders

# The chain's own head, checked with the chain; what says whether further reports join, or when patrol looks next; what
# follows from the place.
ELSEWHERE = frozenset({"entries", "head", "merge_key", "second_key", "last_event_at", "look_at", "lng", "lat"})
FRACTIONS = tuple(str(each.name) for each in (*cases.c, *work_orders.c) if isinstance(each.type, Float))
DEFAULTS = tuple(str(each.name) for each in (*cases.c, *work_orders.c) if each.server_default is not None)


def imprint(case: Mapping[str, Any], orders: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over the columns that have a value, so that a column which a later version adds changes nothing."""
    told = [_told(order) for order in sorted(orders, key=_id)]
    return hashlib.sha256(orjson.dumps([_told(case), told], option=orjson.OPT_SORT_KEYS)).hexdigest()


def _id(order: Mapping[str, Any]) -> str:
    return str(order["id"])


def _told(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Sorted pairs: names of columns are no plain texts, which keys would have to be."""
    told = {name: value for name, value in row.items() if value is not None and name not in ELSEWHERE}
    for name in FRACTIONS:  # as the store gives them back
        if name in told:
            told[name] = float(told[name])
    for name in DEFAULTS:
        if not told.get(name, True):
            del told[name]
    return sorted(told.items())
