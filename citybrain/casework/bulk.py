"""Several actions in one call: each stands alone and is answered alone, and all that may be is written together."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from citybrain.casework import reading
from citybrain.casework.actions import act, decide
from citybrain.casework.amendment import Amendment, load_all
from citybrain.casework.beside import Beside
from citybrain.casework.hindrance import WAITS_FOR_PARTS, require_right
from citybrain.casework.turn import Request, Turn, parse_request
from citybrain.casework.writing import StaleVersion, write
from citybrain.installation import Installation
from citybrain.keys import Key, cases_visible
from citybrain.problem import Problem, invalid, not_found
from citybrain.queue import DISPATCH
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases

AT_ONCE = 200
TOUCHES_OTHERS = frozenset({"merge", "split", "appeal", "judge"})  # more than its own case: a transaction of its own
Json = dict[str, Any]


class Item:
    """One action of the call, and what became of it; decided again if the transaction is."""

    def __init__(self, index: int, raw: Any, key: Key, here: Installation) -> None:
        self.case_id, self.action = "", ""
        self.request: Request | None = None
        self.asked: Json = {"index": index}
        self.answer: Json = {}
        try:
            if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
                raise invalid(f"items.{index}.id", "each item names its case", "an id or number of a case")
            self.case_id, self.action = raw["id"], str(raw.get("action"))
            self.asked |= {"id": self.case_id, "action": self.action}
            require_right(key, self.action, here.city.practice)
            body = {name: value for name, value in raw.items() if name not in ("id", "action")}
            self.request = parse_request(self.action, body)
        except Problem as problem:
            self.refuse(problem)

    def refuse(self, problem: Problem) -> None:
        self.answer = self.asked | {"outcome": "refused", "problem": problem.as_dict()}

    def done(self, case: Json) -> None:
        shown = {name: case[name] for name in ("id", "number", "status", "version")}
        self.answer = self.asked | {"outcome": "done", **shown}


def act_on_many(here: Installation, key: Key, body: Any) -> Json:
    """`{"items": [{"id", "version", "action", …}]}` → `{"done", "refused", "results"}`, a result for each item."""
    given = body.get("items") if isinstance(body, dict) and set(body) == {"items"} else None
    if not isinstance(given, list) or not 1 <= len(given) <= AT_ONCE:
        raise invalid("items", f"1 to {AT_ONCE} actions", 'send {"items": [{"id", "version", "action", …}]}')
    items = [Item(index, raw, key, here) for index, raw in enumerate(given)]
    together = [item for item in items if item.request and item.action not in TOUCHES_OTHERS]
    due = here.store.transact(lambda tx: _together(tx, together, key, here)) if together else 0
    for item in items:
        if item.request and item.action in TOUCHES_OTHERS:
            due += _alone(item, item.request, key, here)
    if due:
        here.ringer.ring(DISPATCH)
    done = sum(item.answer["outcome"] == "done" for item in items)
    return {"done": done, "refused": len(items) - done, "results": [item.answer for item in items]}


def _together(tx: Connection, items: Sequence[Item], key: Key, here: Installation) -> int:
    """One look at the cases, one write of all that is decided."""
    found = _visible(tx, {item.case_id for item in items}, key, here)
    ids = {row.id for row in found.values()}
    amendments = {each.case["id"]: each for each in load_all(tx, sorted(ids), key.name, here.clock())}
    photos = [id_ for item in items if item.request for id_ in item.request.attachments]
    ending = {found[item.case_id].id for item in items if item.action in WAITS_FOR_PARTS and item.case_id in found}
    beside = Beside.of(tx, photos, ending, key, here.city)
    changed: list[Amendment] = []
    stale: list[tuple[Item, Amendment]] = []
    acted: set[str] = set()
    for item in items:
        row, request = found.get(item.case_id), item.request
        if row is None or request is None:
            item.refuse(not_found("case"))
            continue
        if row.id in acted:
            item.refuse(invalid("id", "this case is in the call twice", "one action a case, or a second call"))
            continue
        acted.add(row.id)
        amendment = amendments[row.id]
        try:
            changed += decide(Turn.of(tx, request, key, here, beside), amendment, item.action)
        except StaleVersion:
            stale.append((item, amendment))
        except Problem as problem:
            item.refuse(problem)
        else:
            item.done(amendment.case)
    _tell_who_acted_first(tx, stale, here)
    return write(tx, changed, here.city)


def _visible(tx: Connection, asked: set[str], key: Key, here: Installation) -> dict[str, Row[Any, Any]]:
    named = (cases.c.id.in_(asked) | cases.c.number.in_(asked)) & cases_visible(key, here.city)
    rows = tx.execute(select(cases.c.id, cases.c.number).where(named)).all()
    return {name: row for row in rows for name in (row.id, row.number)}


def _tell_who_acted_first(tx: Connection, stale: Sequence[tuple[Item, Amendment]], here: Installation) -> None:
    if not stale:
        return
    chains = [amendment.case["id"] for _, amendment in stale]
    newest = select(ledger.c.chain, func.max(ledger.c.seq).label("seq")).where(ledger.c.chain.in_(chains))
    last = newest.group_by(ledger.c.chain).subquery()
    joined = select(ledger).join(last, and_(ledger.c.chain == last.c.chain, ledger.c.seq == last.c.seq))
    entries = {row.chain: reading.entry_dict(row, here.city) for row in tx.execute(joined)}
    rows = {row.id: row for row in tx.execute(select(cases).where(cases.c.id.in_(chains)))}
    for item, amendment in stale:
        case_id, version = amendment.case["id"], amendment.version
        present = reading.short(rows[case_id], here.city, here.clock())
        item.refuse(Problem(409, reading.acted_first(entries[case_id], version), case=present))


def _alone(item: Item, request: Request, key: Key, here: Installation) -> int:
    def do(tx: Connection) -> tuple[int, Json]:
        row = reading.visible_case(tx, item.case_id, key, here.city)
        due = act(tx, row.id, item.action, request, key, here)
        return due, dict(reading.case_of(tx, row.id)._mapping)

    try:
        due, case = here.store.transact(do)
    except StaleVersion:
        with here.store.read() as tx:
            row = reading.visible_case(tx, item.case_id, key, here.city)
            last = reading.timeline(tx, row, here.city, None, 1)["items"][0]
            present = reading.short(row, here.city, here.clock())
        item.refuse(Problem(409, reading.acted_first(last, row.version), case=present))
        return 0
    except Problem as problem:
        item.refuse(problem)
        return 0
    item.done(case)
    return due
