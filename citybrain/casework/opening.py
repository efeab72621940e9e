"""Opens cases from what a domain's handler decided about a batch of events: filed and dispatched in one step, merged
into an open case about the same thing, kept without dispatch, or put into triage for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row

from citybrain.casework.amendment import NOTHING_YET, Amendment
from citybrain.casework.case import Status, was_kept
from citybrain.casework.handling_clock import due_moment, own_clock, start_clock
from citybrain.casework.joining import KEYS, Known, known_to
from citybrain.casework.muting import Mute, in_force_for
from citybrain.casework.numbers import next_numbers
from citybrain.casework.writing import write
from citybrain.city import City
from citybrain.deadline import Limit
from citybrain.dispatch.outbox import Taker
from citybrain.installation import Installation
from citybrain.routing.decision import Decision
from citybrain.routing.record import Stamp
from citybrain.store.claims import complete
from citybrain.store.ids import new_id
from citybrain.store.tables import cases, events

RULES = "rules"  # the actor of what no person decided
LISTED = 20  # events that an entry of the ledger names; each of them names its case
LEVELS = ("county", "town", "village", "cell")
BLANK: dict[str, Any] = dict.fromkeys(map(str, cases.c.keys()))  # plain texts are found faster


def open_cases(
    tx: Connection,
    rows: Sequence[Row[Any]],
    decisions: Sequence[Decision],
    explanations: Sequence[dict[str, Any]],
    basis: Mapping[str, str],
    here: Installation,
    now: int,
    taker: Taker | None = None,
) -> int:
    """One transaction: completes the claims on the events (raises ClaimLost) and writes every consequence. Returns
    how many deliveries are due at once, without those that `taker` has claimed. `explanations` are short,
    `now` is when it was decided, `basis` on what grounds."""
    # Numbers first, as everywhere: see `store.locks`.
    city, domain = here.city, rows[0].domain
    areas = [_areas(row, decision, here) for row, decision in zip(rows, decisions, strict=True)]
    numbers = iter(next_numbers(tx, domain, len(rows) + sum(map(len, areas)), city.zone, now))
    known = known_to(tx, decisions, domain, RULES, now)
    mutes = in_force_for(tx, domain, decisions, here.inhibitors, city, now)
    touched: dict[int, Amendment] = {}
    joined: dict[int, list[str]] = {}
    opening: dict[str, list[Row[Any]]] = {}
    done: list[dict[str, Any]] = []
    for row, decision, explanation, area in zip(rows, decisions, explanations, areas, strict=True):
        _check(decision, row)
        mute = None if decision.triage or decision.void else mutes.of(row, decision)
        amendment = None if decision.triage else known.joined_by(row, decision, now)
        if amendment is None:
            amendment = _opened(row, decision, next(numbers), mute, known, here, now)
            stamp = Stamp(now, basis, due_at=_due_at(decision, city, now))
            known.add(amendment)
            for codes in area if not mute else ():
                child = _child(amendment, codes, row, decision, next(numbers), here)
                touched[id(child)], opening[child.case["id"]] = child, [row]
        else:
            _merge(amendment, row, decision, mute, city)
            known.add(amendment)
            joined.setdefault(id(amendment), []).append(row.id)
            stamp = Stamp(now, basis, joined=amendment.case["id"])
        if amendment.is_new:
            opening.setdefault(amendment.case["id"], []).append(row)
        touched[id(amendment)] = amendment
        done.append(_completed(row, decision, amendment.case["id"], explanation | stamp.as_dict(), now))
    complete(tx, events, done)
    for key, event_ids in joined.items():
        _tell_of_many(touched[key], event_ids)
    return write(tx, list(touched.values()), city, opening, taker)


def _check(decision: Decision, row: Row[Any]) -> None:
    """What a handler must keep to, whoever wrote it: raises ValueError."""
    if decision.event_id != row.id:
        raise ValueError("a handler's decisions are one an event, in the order of the events")
    if not (decision.triage or decision.lead or decision.void):
        raise ValueError("a decision names the leading department, or why the event goes to triage or is void")


def _opened(
    row: Row[Any], decision: Decision, number: str, mute: Mute | None, known: Known, here: Installation, now: int
) -> Amendment:
    """A case in triage, or one that is filed and dispatched in one step, unless something mutes it or it is void."""
    if decision.triage:
        return in_triage(row, decision, number, RULES, here, now)
    amendment = _of_event(row, decision, number, RULES, here, now)
    case = amendment.case
    winner = decision.explanation.get("winner")
    case["related_to"] = next((known.done[each.key] for each in decision.merges if each.key in known.done), None)
    related = {"related_to": case["related_to"]} if case["related_to"] else {}
    amendment.note("filed", event=row.id, type=decision.type, grade=decision.grade, rule=winner, **related)
    if decision.void:
        case["status"] = Status.VOID
        amendment.note("voided", reason=decision.void)
    elif mute:
        case.update(mute.columns)
        amendment.note("muted", **mute.told)
    else:
        _dispatch(amendment, decision, here.city)
    return amendment


def in_triage(row: Row[Any], decision: Decision, number: str, actor: str, here: Installation, now: int) -> Amendment:
    """A case that waits for a person."""
    amendment = _of_event(row, decision, number, actor, here, now)
    told = {"event": row.id, "type": decision.type, "grade": decision.grade}
    amendment.note("triage", reason=decision.triage, **told)
    return amendment


def _of_event(row: Row[Any], decision: Decision, number: str, actor: str, here: Installation, now: int) -> Amendment:
    case: dict[str, Any] = BLANK | {
        "id": new_id(),
        "number": number,
        "status": Status.TRIAGE if decision.triage else Status.FILED,
        "domain": row.domain,
        "type": decision.type,
        "grade": decision.grade,
        "title": row.title or row.description[:60] or _called(row.domain, decision.type, here),
        "demo": row.demo,
        **{level: getattr(row, level) for level in LEVELS},
        "place": row.place,
        "triage_reason": decision.triage,
        **_keys(decision),
        "event_count": 1,
        "opened_at": now,
        "last_event_at": now,
        **NOTHING_YET,
    }
    return Amendment(case, actor, now)


def _called(domain: str, code: str | None, here: Installation) -> str:
    """What nobody has given a title: devices send none."""
    kind = here.type_of(domain, code)
    return kind.row.name if kind else here.domains[domain].manifest.domain.name


def _keys(decision: Decision) -> dict[str, str | None]:
    """By the rules of its type, in their order; what waits in triage or is void is joined by nothing."""
    keys = [] if decision.triage or decision.void else [merge.key for merge in decision.merges]
    return dict(zip(KEYS, [*keys, None, None], strict=False))


def _dispatch(amendment: Amendment, decision: Decision, city: City) -> None:
    amendment.case["status"] = Status.DISPATCHED
    if decision.limit:
        start_clock(amendment, decision.limit.amount, decision.limit.unit, city)
    dispatch_to(amendment, decision.lead or "", decision.assist, decision.assist_limit, city)


def _due_at(decision: Decision, city: City, now: int) -> int | None:
    """What the decision says, whether or not somebody is dispatched."""
    if decision.triage or decision.limit is None:
        return None
    return due_moment(city.calendar, now, decision.limit.amount, decision.limit.unit)


def _areas(row: Row[Any], decision: Decision, here: Installation) -> list[dict[str, str]]:
    """The divisions, with what is above them, that each get a case of their own beside the area's."""
    kind = None if decision.triage or decision.void else here.type_of(row.domain, decision.type)
    level = kind.row.children if kind else None
    if level is None:
        return []
    place, divisions = row.place, here.city.divisions
    codes = [each["code"] for each in [*place["candidates"], *place["shares"]] if each["level"] == level]
    if not codes and place["method"] == "division" and not place[level]:
        outer = next((code for name in reversed(LEVELS) if (code := getattr(row, name))), "")
        codes = [each.code for each in divisions.level(level) if divisions.covers(outer, each.code)]
    if not codes and place["method"] == "geometry" and place[level]:
        codes = [place[level]["code"]]
    return [dict(divisions.path(code)) for code in dict.fromkeys(codes)]


def _child(
    parent: Amendment, codes: dict[str, str], row: Row[Any], decision: Decision, number: str, here: Installation
) -> Amendment:
    """The case of one division of an area: with the departments that answer for it there."""
    divisions, kind = here.city.divisions, here.type_of(row.domain, decision.type)
    named = {level: divisions.get(codes[level]) for level in LEVELS if level in codes}
    units = {level: {"code": each.code, "name": each.name} for level, each in named.items() if each}
    place = row.place | dict.fromkeys(LEVELS) | units | {"wgs84": None, "candidates": [], "shares": []}
    taken = {"id": new_id(), "number": number, "parent_id": parent.case["id"], "event_count": 0}
    blank = dict.fromkeys((*KEYS, "related_to", "lead", "due_at", "started_at", "limit_amount", "limit_unit"))
    case = parent.case | blank | taken | {level: codes.get(level) for level in LEVELS} | {"place": place}
    child = Amendment(case, RULES, parent.at)
    found = here.responsibility.assign(
        kind.duty, kind.row.assist, row.domain, kind.row.children or "", codes
    ) if kind else None  # fmt: skip
    told = {"event": row.id, "type": decision.type, "grade": decision.grade, "from": parent.case["number"]}
    if found is None or found.lead is None:
        case.update(status=Status.TRIAGE, triage_reason="no_department")
        child.note("triage", reason="no_department", **told)
    else:
        child.note("filed", **told)
        _dispatch(child, replace(decision, lead=found.lead, assist=found.assist), here.city)
    return child


def dispatch_to(amendment: Amendment, lead: str, assist: Sequence[str], limit: Limit | None, city: City) -> None:
    """Orders for one lead and its assistants, who are due with it unless they have a `limit` of their own."""
    amendment.case["lead"] = lead
    helpers = [department for department in dict.fromkeys(assist) if department != lead]
    amendment.order("lead", lead)
    for department in helpers:
        order = amendment.order("assist", department)
        if limit:
            own_clock(order, limit, city)
    amendment.note("dispatched", department=lead, assist=helpers, due_at=amendment.case["due_at"])


def _merge(amendment: Amendment, row: Row[Any], decision: Decision, mute: Mute | None, city: City) -> None:
    """The same thing reported again: the case keeps every event and tells nobody anew, unless it has become graver,
    nothing mutes it any more, or each report corrects the one before."""
    case = amendment.case
    case["event_count"] += 1
    case["last_event_at"] = amendment.at
    raise_grade(amendment, decision.grade, event=row.id)
    case.update({name: key for name, key in _keys(decision).items() if key and not case[name]})  # known by it from now
    if mute is None and was_kept(case) and not decision.void:
        amendment.note("unmuted", event=row.id)
        _dispatch(amendment, decision, city)
    if decision.tells:
        _tell_all(amendment)


def _tell_of_many(amendment: Amendment, event_ids: Sequence[str]) -> None:
    """One entry a batch; the lead hears of the tenth report, the hundredth, the thousandth: a storm is a handful of
    messages."""
    now = amendment.case["event_count"]
    listed = {"events": list(event_ids)} if len(event_ids) <= LISTED else {"first": event_ids[0], "last": event_ids[-1]}
    amendment.note("merged", count=len(event_ids), event_count=now, **listed)
    if len(str(now)) > len(str(now - len(event_ids))) and not amendment.is_new:
        for order in amendment.active():
            if order["role"] == "lead" and order["id"] not in amendment.new_orders:
                amendment.tell("work_order.updated", order["id"])


def raise_grade(amendment: Amendment, grade: int, **because: Any) -> None:
    """The gravest report counts; a lighter one changes nothing."""
    if grade >= amendment.case["grade"]:
        return
    amendment.case["grade"] = grade
    amendment.note("raised", grade=grade, **because)
    _tell_all(amendment)


def _tell_all(amendment: Amendment) -> None:
    for order in amendment.active():
        if order["id"] not in amendment.new_orders:
            amendment.tell("work_order.updated", order["id"])


def _completed(row: Row[Any], decision: Decision, case_id: str, short: dict[str, Any], now: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "fence": row.fence,
        "state": "triage" if decision.triage else "cased",
        "case_id": case_id,
        "explanation": short,
        "due_at": now,
    }
