"""Many rows in one statement, on both stores."""

from typing import Any

from desk import Desk
from postgres import both_stores
from sqlalchemy import select

from citybrain.store.bulk import insert_or_renew
from citybrain.store.coverage_tables import latest_evidence

pytestmark = both_stores


def _row(village: str, at: int, case_id: str, real: bool = True) -> dict[str, Any]:
    place = {"county": "441402", "town": "441402004", "village": village}
    return {"kind": "opened", "real": real, "domain": "fire", **place, "at": at, "case_id": case_id * 32}


def test_only_a_larger_value_renews_a_row(desk: Desk) -> None:
    with desk.here.store.write() as tx:
        insert_or_renew(tx, latest_evidence, [], by="at")
        insert_or_renew(tx, latest_evidence, [_row("1", 5, "a"), _row("2", 5, "b"), _row("3", 5, "c")], by="at")
        again = [_row("1", 4, "d"), _row("2", 6, "e"), _row("3", 5, "f"), _row("3", 9, "g", real=False)]
        insert_or_renew(tx, latest_evidence, again, by="at")
        columns = [latest_evidence.c[name] for name in ("village", "real", "at", "case_id")]
        found = [tuple(row) for row in tx.execute(select(*columns).order_by("village", "real"))]
    a, c, e, g = (letter * 32 for letter in "aceg")
    assert found == [("1", True, 5, a), ("2", True, 6, e), ("3", False, 9, g), ("3", True, 5, c)]
