"""The evaluation once more, slowly: every entry of every case's ledger read in order, orders kept as a clerk would.

What the ledger does not say is taken from nowhere: only where a case is and whose it is are read from its row.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Order:
    department: str
    role: str
    due: int | None
    done: int | None = None
    gone: bool = False  # cancelled or returned
    id: str = ""
    contested: set[str] = field(default_factory=set)


def evaluate(entries: list[Any], events: list[Any], since: int, until: int, after: bool) -> dict[str, tuple[int, int]]:
    """Numerator and denominator of each rate, over everything."""
    told: dict[str, list[Any]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: (entry.chain, entry.seq)):
        told[entry.chain].append((entry.at, entry.action, json.loads(entry.data)))
    cases = {chain: _case(story) for chain, story in told.items() if chain != "city"}
    orders = [(order, case) for case in cases.values() for order in case["orders"] if not order.gone]
    handled = [order for order, _ in orders if order.done is not None and since <= order.done < until]
    late = [
        order for order, _ in orders
        if order.due is not None and since <= order.due < until and (order.done is None or order.done >= until)
    ]  # fmt: skip
    if after:
        handled_kept = [order for order in handled if "overdue" not in order.contested]
        late = [order for order in late if "overdue" not in order.contested]
    else:
        handled_kept = handled
    in_time = [order for order in handled_kept if order.due is None or order.done <= order.due]
    reworks = [
        order for case in cases.values() for at, order in case["reworks"]
        if since <= at < until and not (after and "rework" in order.contested)
    ]  # fmt: skip
    due_to_close, closed, in_time_closed = 0, 0, 0
    for case in cases.values():
        contested = any("overdue" in order.contested for order in case["orders"])
        if after and contested:
            continue
        ends = case["closed"] is not None and since <= case["closed"] < until
        due = case["due"] is not None and since <= case["due"] < until
        if ends or (due and not case["void"] and (case["closed"] is None or case["closed"] >= until)):
            due_to_close += 1
            closed += ends
            last = max((order.done for order in case["orders"] if order.role == "lead" and order.done), default=None)
            in_time_closed += ends and (case["due"] is None or last is None or last <= case["due"])
    reported = [event for event in events if since <= event.received_at < until]
    filed = [event for event in reported if event.state == "cased" and not cases[event.case_id]["void"]]
    return {
        "filing": (len(filed), len(reported)),
        "handling": (len(handled_kept), len(handled_kept) + len(late)),
        "handling_in_time": (len(in_time), len(handled_kept) + len(late)),
        "rework": (len(reworks), len(handled)),
        "closing": (closed, due_to_close),
        "closing_in_time": (in_time_closed, due_to_close),
    }


def _case(story: list[Any]) -> dict[str, Any]:
    case: dict[str, Any] = {"orders": [], "reworks": [], "closed": None, "void": False, "due": None}
    orders: list[Order] = case["orders"]

    def standing() -> list[Order]:
        return [order for order in orders if not order.gone and order.done is None]

    for at, action, data in story:
        if action == "dispatched":
            for order in standing():
                order.gone = True
            case["due"] = data["due_at"]
            orders.append(Order(data["department"], "lead", data["due_at"]))
            orders += [Order(department, "assist", data["due_at"]) for department in data["assist"]]
        elif action == "feedback" and data["effect"] and data["status"] in ("completed", "returned"):
            order = next(o for o in standing() if (o.department, o.role) == (data["department"], data["role"]))
            order.id = data["work_order"]
            order.done, order.gone = (at, False) if data["status"] == "completed" else (None, True)
        elif action == "extended":
            case["due"] = data["until"]
            for order in standing():
                order.due = data["until"]
        elif action in ("reworked", "reopened"):
            done = [order for order in orders if order.done is not None]
            lead = [order for order in done if order.role == "lead"][-1]
            if action == "reworked":
                case["reworks"].append((at, lead))
            case["due"], case["closed"] = data["due_at"], None
            orders.append(Order(lead.department, "lead", data["due_at"]))
            helpers = dict.fromkeys(order.department for order in done if order.role == "assist")
            orders += [Order(name, "assist", data["due_at"]) for name in helpers if name != lead.department]
        elif action == "returned":
            for order in standing():
                order.gone = order.gone or order.role == "lead"
        elif action == "closed":
            case["closed"] = at
        elif action in ("voided", "merged_into"):
            case["void"] = True
            for order in standing():
                order.gone = True
        elif action == "judged" and data["outcome"] == "upheld":
            next(order for order in orders if order.id == data["work_order"]).contested.add(data["against"])
    return case
