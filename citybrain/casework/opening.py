"""Opens cases from what a domain's handler decided about a batch of events: filed and dispatched in one step, merged
into an open case about the same thing, or put into triage for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from citybrain.casework.amendment import NOTHING_YET, Amendment, load_all
from citybrain.casework.case import Status
from citybrain.casework.handling_clock import start_clock
from citybrain.casework.numbers import next_numbers
from citybrain.casework.writing import write
from citybrain.city import City
from citybrain.dispatch.outbox import Taker
from citybrain.routing.decision import Decision
from citybrain.routing.record import Stamp, shorten
from citybrain.routing.report import Filed
from citybrain.store.claims import complete
from citybrain.store.ids import new_id
from citybrain.store.tables import cases, events

RULES = "rules"  # the actor of what no person decided
LEVELS = ("county", "town", "village", "cell")
_ABOUT_IT = select(cases.c.id, cases.c.merge_key, cases.c.updated_at).where(
    cases.c.domain == bindparam("of_domain"), cases.c.merge_key.in_(bindparam("merge_keys", expanding=True))
)
BLANK: dict[str, Any] = dict.fromkeys(column.name for column in cases.c)


def open_cases(
    tx: Connection,
    rows: Sequence[Row[Any]],
    filed: Sequence[Filed],
    decisions: Sequence[Decision],
    basis: Mapping[str, str],
    city: City,
    now: int,
    taker: Taker | None = None,
) -> int:
    """One transaction: completes the claims on the events (raises ClaimLost) and writes every consequence. Returns
    how many deliveries are due at once, without those that `taker` has claimed. `filed` is what was decided about,
    `now` when, `basis` on what grounds."""
    # Numbers first: until the end others wait for theirs, so that two batches never open one merge key's case twice.
    numbers = iter(next_numbers(tx, rows[0].domain, len(rows), city.zone, now))
    merging = _open_by_merge_key(tx, decisions, rows[0].domain, now)
    amendments: list[Amendment] = []
    joined: dict[int, list[str]] = {}
    opening: dict[str, list[Row[Any]]] = {}
    done: list[dict[str, Any]] = []
    for row, event, decision in zip(rows, filed, decisions, strict=True):
        _check(decision, row)
        key = None if decision.triage else decision.merge_key
        amendment = merging.get(key) if key else None
        if amendment is None:
            amendment = _opened(row, decision, next(numbers), city, now)
            stamp = Stamp(now, basis, due_at=amendment.case["due_at"])
            if key:
                merging[key] = amendment
        else:
            _merge(amendment, row, decision)
            joined.setdefault(id(amendment), []).append(row.id)
            stamp = Stamp(now, basis, joined=amendment.case["id"])
        if amendment.is_new:
            opening.setdefault(amendment.case["id"], []).append(row)
        amendments.append(amendment)
        short = shorten(decision.explanation, event)
        done.append(_completed(row, decision, amendment.case["id"], short | stamp.as_dict(), now))
    complete(tx, events, done)
    touched = list({id(amendment): amendment for amendment in amendments}.values())
    for amendment in touched:
        if event_ids := joined.get(id(amendment)):
            amendment.note("merged", events=event_ids, event_count=amendment.case["event_count"])
    return write(tx, touched, city, opening, taker)


def _check(decision: Decision, row: Row[Any]) -> None:
    """What a handler must keep to, whoever wrote it: raises ValueError."""
    if decision.event_id != row.id:
        raise ValueError("a handler's decisions are one an event, in the order of the events")
    if not decision.triage and not decision.lead:
        raise ValueError("a decision names the leading department, or why the event goes to triage")


def _opened(row: Row[Any], decision: Decision, number: str, city: City, now: int) -> Amendment:
    """A case in triage, or one that is filed and dispatched in one step."""
    case: dict[str, Any] = BLANK | {
        "id": new_id(),
        "number": number,
        "status": Status.TRIAGE if decision.triage else Status.DISPATCHED,
        "domain": row.domain,
        "type": decision.type,
        "grade": decision.grade,
        "title": row.title or row.description[:60] or decision.type or row.domain,
        "demo": row.demo,
        "lead": None if decision.triage else decision.lead,
        **{level: getattr(row, level) for level in LEVELS},
        "place": row.place,
        "triage_reason": decision.triage,
        "merge_key": None if decision.triage else decision.merge_key,
        "event_count": 1,
        "opened_at": now,
        **NOTHING_YET,
    }
    amendment = Amendment(case, RULES, now)
    if decision.triage:
        amendment.note("triage", reason=decision.triage, event=row.id, type=decision.type, grade=decision.grade)
        return amendment
    if decision.limit:
        start_clock(amendment, decision.limit.amount, decision.limit.unit, city)
    winner = decision.explanation.get("winner")
    amendment.note("filed", event=row.id, type=decision.type, grade=decision.grade, rule=winner)
    dispatch_to(amendment, decision.lead or "", decision.assist)
    return amendment


def dispatch_to(amendment: Amendment, lead: str, assist: Sequence[str]) -> None:
    """Orders for one lead and its assistants."""
    amendment.case["lead"] = lead
    helpers = [department for department in dict.fromkeys(assist) if department != lead]
    amendment.order("lead", lead)
    for department in helpers:
        amendment.order("assist", department)
    amendment.note("dispatched", department=lead, assist=helpers, due_at=amendment.case["due_at"])


def _merge(amendment: Amendment, row: Row[Any], decision: Decision) -> None:
    """The same thing reported again: the case keeps every event and tells nobody anew, unless it has become graver."""
    amendment.case["event_count"] += 1
    raise_grade(amendment, decision.grade, event=row.id)


def raise_grade(amendment: Amendment, grade: int, **because: Any) -> None:
    """The gravest report counts; a lighter one changes nothing."""
    if grade >= amendment.case["grade"]:
        return
    amendment.case["grade"] = grade
    amendment.note("raised", grade=grade, **because)
    for order in amendment.active():
        if order["id"] not in amendment.new_orders:
            amendment.tell("work_order.updated", order["id"])


def _open_by_merge_key(tx: Connection, decisions: Sequence[Decision], domain: str, now: int) -> dict[str, Amendment]:
    """The open cases that this batch's events may be about, by merge key. One that was quiet for longer than the
    merge rule allows gives its key up: what comes now is another thing."""
    minutes = {each.merge_key: each.merge_minutes or 0 for each in decisions if each.merge_key and not each.triage}
    if not minutes:
        return {}
    rows = tx.execute(_ABOUT_IT, {"of_domain": domain, "merge_keys": sorted(minutes)}).all()
    quiet = [row.id for row in rows if now - row.updated_at > minutes[row.merge_key] * 60_000]
    if quiet:
        tx.execute(update(cases).where(cases.c.id.in_(quiet)).values(merge_key=None))
    live = [row.id for row in rows if row.id not in quiet]
    return {each.case["merge_key"]: each for each in load_all(tx, live, RULES, now)} if live else {}


def _completed(row: Row[Any], decision: Decision, case_id: str, short: dict[str, Any], now: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "fence": row.fence,
        "state": "triage" if decision.triage else "cased",
        "case_id": case_id,
        "explanation": short,
        "due_at": now,
    }
