"""An amendment: everything one decision changes of a case, collected before anything is written.

Opening a thousand cases from a batch and one operator's click both collect here and end in `writing.write`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from citybrain.casework.case import ACTIVE_ORDERS, OrderStatus
from citybrain.store.ids import new_id
from citybrain.store.ledger import Entry
from citybrain.store.tables import cases, work_orders

# What a new case begins with, beside its columns that are empty.
NOTHING_YET = dict.fromkeys(("extensions", "returns", "reworks", "appeals_open", "supervision"), 0) | dict.fromkeys(
    ("appointed", "stage_supervised"), False
)


@dataclass
class Amendment:
    """`case` and `orders` hold the columns as they will be; `version` is the one that was read, 0 for a new case."""

    case: dict[str, Any]
    actor: str
    at: int
    version: int = 0
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    new_orders: set[str] = field(default_factory=set)
    changed_orders: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    messages: list[tuple[str, str | None]] = field(default_factory=list)
    leaves_triage: bool = False  # its events wait for nobody any more
    status_before: str | None = None
    due_before: int | None = None

    def __post_init__(self) -> None:
        if not self.is_new:
            self.status_before, self.due_before = self.case["status"], self.case["due_at"]
        self.case["version"] = self.version + 1
        self.case["updated_at"] = self.at

    @property
    def is_new(self) -> bool:
        return self.version == 0

    def note(self, action: str, **data: Any) -> None:
        self.entries.append(Entry(action, self.actor, data))

    def tell(self, type_: str, order_id: str | None) -> None:
        """Once: a message is composed when all is decided, so a second one would say the same."""
        if (type_, order_id) not in self.messages:
            self.messages.append((type_, order_id))

    def order(self, role: str, department: str) -> dict[str, Any]:
        """A new work order on the case's clock, with its message."""
        order = {
            "id": new_id(),
            "case_id": self.case["id"],
            "role": role,
            "department": department,
            "status": OrderStatus.SENT,
            "created_at": self.at,
            "updated_at": self.at,
            "completed_at": None,
            "due_at": self.case["due_at"],
            "left_seconds": None,
            "reason": None,
            "responsible": None,
            "limit_amount": None,
            "limit_unit": None,
            "supervision": 0,
        }
        self.orders[order["id"]] = order
        self.new_orders.add(order["id"])
        self.tell("work_order.dispatched", order["id"])
        return order

    def change_order(self, order: dict[str, Any], **values: Any) -> None:
        order.update(values, updated_at=self.at)
        if order["id"] not in self.new_orders:
            self.changed_orders.add(order["id"])

    def cancel(self, order: dict[str, Any]) -> None:
        self.change_order(order, status=OrderStatus.CANCELLED)
        self.tell("work_order.cancelled", order["id"])

    def active(self) -> list[dict[str, Any]]:
        return [order for order in self.orders.values() if order["status"] in ACTIVE_ORDERS]


def load(tx: Connection, case_id: str, actor: str, at: int) -> Amendment:
    return load_all(tx, [case_id], actor, at)[0]


def load_all(tx: Connection, case_ids: Sequence[str], actor: str, at: int) -> list[Amendment]:
    """The cases and their orders, to be amended. PostgreSQL locks the rows; SQLite's writer is alone anyway."""
    locked = select(cases).where(cases.c.id.in_(case_ids)).order_by(cases.c.id).with_for_update(key_share=True)
    rows = tx.execute(locked).mappings().all()  # before the orders are read: whoever held the lock may change them
    orders: dict[str, dict[str, dict[str, Any]]] = {}
    mine = work_orders.c.case_id.in_(case_ids)
    for order in tx.execute(select(work_orders).where(mine).order_by(work_orders.c.id)).mappings():
        orders.setdefault(order["case_id"], {})[order["id"]] = dict(order)
    return [Amendment(dict(row), actor, at, row["version"], orders.get(row["id"], {})) for row in rows]
