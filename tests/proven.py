"""Builds a record for the indicator's tests row by row, without waiting for days to pass."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table, insert

from citybrain.clock import to_ms
from citybrain.keys import create_key
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import attempts, deliveries, endpoints
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, feedbacks, metadata, work_orders

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = 24 * 3600 * 1000
MINUTE = 60 * 1000


def moment(text: str) -> int:
    """`2026-12-01` or `2026-12-01 10:00`, in Meizhou."""
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI))


@dataclass
class Proven:
    """Rows to be, until `write`."""

    store: Store
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def key(self, name: str, role: str, now: int = 0, **scope: Any) -> str:
        with self.store.write() as tx:
            return create_key(tx, name, role, now, "test", **scope)

    def add(self, table: Table, **values: Any) -> dict[str, Any]:
        self.rows.setdefault(table.name, []).append(values)
        return values

    def endpoint(self, id_: str = "ep", demo: bool = False) -> str:
        self.add(
            endpoints, id=id_, name=id_, url="http://127.0.0.1/", domains=[], divisions=[], types=[], secrets=[],
            unmasked=False, demo=demo, enabled=True, failures=0, created_at=0,
        )  # fmt: skip
        return id_

    def case(self, domain: str, at: int, demo: bool = False, **codes: str | None) -> str:
        """`codes`: county, town, village."""
        self.made += 1
        id_ = f"case{self.made:08}"
        self.domains[id_] = domain
        where = {level: codes.get(level) for level in ("county", "town", "village", "cell")}
        self.add(
            cases, id=id_, number=f"N{self.made}", status="verified", version=1, domain=domain, type=None, grade=4,
            title="t", demo=demo, lead=None, place={}, event_count=1, opened_at=at, updated_at=at, entries=1,
            head="", extensions=0, **where,
        )  # fmt: skip
        self.add(
            work_orders, id=f"order-{id_}", case_id=id_, role="lead", department="d", status="completed",
            created_at=at, updated_at=at,
        )  # fmt: skip
        return id_

    def delivered(self, case: str, at: int, endpoint: str = "ep", status: int | None = 204, again: str = "") -> str:
        """An attempt of 100 ms that ends at `at`; of the delivery `again` where it is named."""
        self.made += 1
        id_ = again or f"msg{self.made:08}"
        error = None if status == 204 else "timeout: no answer in time"
        if not again:
            self.add(
                deliveries, id=id_, endpoint_id=endpoint, case_id=case, work_order_id=f"order-{case}", case_order=1,
                type="work_order.dispatched", grade=4, body="{}", created_at=at, due_at=at, domain=self.domains[case],
                status="delivered" if status == 204 else "pending",
            )  # fmt: skip
        self.add(
            attempts, id=f"att{self.made:08}", delivery_id=id_, at=at - 100, duration_ms=100, status=status, error=error
        )
        return id_

    def completed(
        self, case: str, at: int, actor: str = "dept", status: str = "completed", effect: bool = True
    ) -> None:
        self.made += 1
        self.add(
            feedbacks, work_order_id=f"order-{case}", feedback_id=f"f{self.made}", status=status, received_at=at,
            actor=actor, effect=effect,
        )  # fmt: skip

    def noted(self, case: str, at: int, actor: str, action: str, data: dict[str, Any]) -> None:
        self.made += 1
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        self.add(ledger, chain=case, seq=self.made, at=at, actor=actor, action=action, data=text, hash="")

    def verified(self, case: str, at: int, actor: str = "worker") -> None:
        self.noted(case, at, actor, "verified", {"passed": True, "text": None})

    def relocated(self, case: str, at: int, before: dict[str, Any], after: dict[str, Any]) -> None:
        place = {level: code and {"code": code, "name": ""} for level, code in after.items()}
        self.noted(case, at, "op", "relocated", {"before": before, "place": place, "reason": "x"})

    def whole(self, domain: str, at: int, actor: str = "worker", demo: bool = False, **codes: str | None) -> str:
        """A case that went all its way within an hour from `at`."""
        case = self.case(domain, at, demo, **codes)
        self.delivered(case, at + MINUTE)
        self.completed(case, at + 30 * MINUTE)
        self.verified(case, at + 60 * MINUTE, actor)
        return case

    def write(self) -> None:
        with self.store.write() as tx:
            for table in metadata.sorted_tables:
                for shape in _by_columns(self.rows.pop(table.name, [])):
                    tx.execute(insert(table), shape)


def _by_columns(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    shapes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        shapes.setdefault(tuple(sorted(row)), []).append(row)
    return list(shapes.values())
