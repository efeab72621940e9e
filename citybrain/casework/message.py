"""What a department is told: the body of every webhook, from the case as it is after the decision."""

from collections.abc import Iterable, Mapping
from typing import Any

from citybrain.casework.amendment import Amendment
from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.deadline import clock_of
from citybrain.dispatch.outbox import Message
from citybrain.keys import mask


def compose(amendments: Iterable[Amendment], events: Mapping[str, list[dict[str, Any]]], city: City) -> list[Message]:
    """One message for each thing an amendment tells; the reports come masked."""
    messages = []
    for amendment in amendments:
        shown = [_event(event, city) for event in events.get(amendment.case["id"], [])] if amendment.messages else []
        at = rfc3339(amendment.at, city.zone) or ""
        for position, (type_, order_id) in enumerate(amendment.messages):
            order = amendment.orders[order_id] if order_id else None
            data = _data(amendment.case, order, shown, city)
            if type_ == "work_order.supervised":
                data["supervision"] = _supervision(amendment, order_id)
            if answered := _answered(amendment):
                data["asked"] = answered
            department = order["department"] if order else amendment.case["lead"]
            messages.append(Message(type_, at, amendment.case, department, order_id, position, data))
    return messages


def _supervision(amendment: Amendment, order_id: str | None) -> dict[str, Any]:
    """The highest level that was raised for the order, or that a person urged, and why."""
    supervised = [entry.data for entry in amendment.entries if entry.action == "supervised"]
    told = [data for data in supervised if data.get("work_order") in (None, order_id)][-1:]
    level = told[0].get("level") if told else None
    return {"level": level or amendment.case["supervision"], "reason": told[0]["reason"] if told else None}


def _answered(amendment: Amendment) -> dict[str, Any] | None:
    """What became of an extension or a suspension that somebody asked for."""
    told = [each for each in amendment.entries if each.action in ("granted", "refused", "lapsed")]
    return {"outcome": told[-1].action} | {name: told[-1].data[name] for name in ("what", "reason")} if told else None


def deadline(row: Mapping[str, Any], city: City, now: int) -> dict[str, Any] | None:
    """The contract's `deadline` of a case or an order: when it is due, on which clock, how the clock stands. It is
    provisional while the holidays of its year are not published."""
    if row["limit_unit"] is None:
        return None
    if row["status"] in ("completed", "verified", "closed", "void", "cancelled"):
        state = "stopped"
    elif row["left_seconds"] is not None:
        state = "paused"
    else:
        state = "overdue" if row["due_at"] is not None and row["due_at"] < now else "running"
    clock, due_at = clock_of(row["limit_unit"]), rfc3339(row["due_at"], city.zone)
    return {
        "due_at": due_at,
        "provisional": clock == "working" and due_at is not None and city.calendar.is_provisional(int(due_at[:4])),
        "clock": clock,
        "state": state,
        "limit": {"amount": row["limit_amount"], "unit": row["limit_unit"]},
        "left_seconds": row["left_seconds"],
    }


def order_deadline(order: Mapping[str, Any], case: Mapping[str, Any], city: City, now: int) -> dict[str, Any] | None:
    """That of an order: of its own limit, or of the case's."""
    own = order if order["limit_unit"] else case
    limit = {name: own[name] for name in ("limit_amount", "limit_unit")}
    return deadline({**order, **limit}, city, now)


def _data(
    case: Mapping[str, Any], order: Mapping[str, Any] | None, events: list[dict[str, Any]], city: City
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "case": {
            name: case[name] for name in ("id", "number", "domain", "type", "title", "grade", "status", "event_count")
        },
        "place": case["place"],
        "deadline": order_deadline(order, case, city, case["updated_at"])
        if order and order["limit_unit"]
        else deadline(case, city, case["updated_at"]),
        "events": events,
    }
    if order:
        data["work_order"] = {
            "id": order["id"],
            "role": order["role"],
            "department": order["department"],
            "status": order["status"],
            "appointed": order["role"] == "lead" and bool(case["appointed"]),
            "feedback_url": f"{city.public_url}/api/v1/work-orders/{order['id']}/feedback",
        }
    return data


def _event(row: Mapping[str, Any], city: City) -> dict[str, Any]:
    return {
        "id": row["id"],
        "source": row["source"],
        "title": row["title"],
        "description": row["description"],
        "occurred_at": rfc3339(row["occurred_at"], city.zone),
        "attributes": row["attributes"],
        "reporter": mask(row) if row["name"] or row["phone"] else None,
    }
