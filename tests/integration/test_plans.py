"""What is asked again and again is read from an index of what is in work, or from the end of one, whatever lies behind
it: as the store itself plans it, over three thousand closed cases."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from desk import ADMIN, Desk
from postgres import both_stores, only_sqlite
from posting import OK, claim, end
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, event, select, text, true

from bench.past import Past
from citybrain.api.stream import visible as stream_visible
from citybrain.casework import attachments, reading
from citybrain.casework.followup import follow_up
from citybrain.casework.orders import visible_order
from citybrain.clock import now_ms
from citybrain.console.maps import casemap
from citybrain.console.workbench import cards
from citybrain.console.workbench import desk as queue_page
from citybrain.dispatch.api import list_deliveries
from citybrain.dispatch.delivery import anything_due, claim_due, held_count
from citybrain.dispatch.turns import Turns
from citybrain.indicators import kinds, latest
from citybrain.indicators.coverage import coverage
from citybrain.indicators.scope import Scope, levels_of
from citybrain.intake.reading import list_events
from citybrain.keys import Key, Role
from citybrain.operations.flow import Flow
from citybrain.operations.standing import standing
from citybrain.store.attachment_tables import blobs
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.stream import number_committed
from citybrain.store.tables import cases, events, stream
from workers.handle import DUE, FRESH, claim_some
from workers.patrol import waiting_queues

pytestmark = both_stores
ASKED: dict[str, Any] = {"limit": 50}
IN_WORK = "cases_(in_work|pressing|near|unended_by_type)"  # whichever a planner likes: each holds these cases alone
PENDING = "deliveries_(due|in_order)"  # both hold what waits alone
SMOKE = {"domain": "fire", "attributes": {"device_id": "d1", "states": ["fire"], "component_type": 40}}  # merged


NOTHING: frozenset[str] = frozenset()
SCOPES = {  # domains, divisions, departments
    "everything": (NOTHING, NOTHING, NOTHING),
    "a domain": (frozenset({"grid"}), NOTHING, NOTHING),
    "a county": (NOTHING, frozenset({"441402"}), NOTHING),
    "a department": (NOTHING, NOTHING, frozenset({"441402-cg"})),
}


@pytest.fixture
def old(desk: Desk) -> Desk:
    """Seventeen cases, closed, and three thousand more like them; a few in work."""
    desk.endpoint("platform")
    desk.report(*[{}] * 16, *[SMOKE] * 4)
    desk.handle()
    desk.handle("fire")
    end(desk, claim(desk), OK)
    with desk.here.store.write() as tx:
        number_committed(tx)
    for case in desk.rows(cases):
        for order in desk.orders(case.id):
            desk.answer(order.id, "completed")
        desk.act(case.id, "verify", passed=True)
        desk.act(case.id, "close")
    desk.set(deliveries, true(), status="delivered")
    Past(desk.here.store).write(3_000)
    desk.report(*[{}] * 5)
    desk.handle()
    with desk.here.store.write() as tx:
        number_committed(tx)
        if tx.dialect.name == "postgresql":  # an SQLite in use has no statistics
            tx.execute(text("ANALYZE"))
    assert len(desk.rows(events)) > 3_000
    assert desk.broken() == []  # a past that was written keeps what the store promises
    return desk


def test_what_is_asked_every_day_has_its_index(old: Desk) -> None:
    here, now = old.here, old.now
    plain: dict[str, Any] = dict.fromkeys(("state", "domain", "division", "since", "q", "cursor"))

    def events_(**asked: Any) -> Any:
        return list_events(ADMIN, here, **plain | {"limit": 50} | asked)

    def cases_(**asked: Any) -> Callable[[Connection], Any]:
        return lambda tx: reading.list_cases(tx, ADMIN, here, ASKED | asked)

    questions: dict[str, tuple[str, Callable[[Connection], Any]]] = {
        "queues, events": ("events_unsettled", lambda tx: reading.queues(tx, ADMIN, here)),
        "queues, cases": (IN_WORK, lambda tx: reading.queues(tx, ADMIN, here)),
        "unsent": ("deliveries_unsent", lambda tx: cards.unsent(tx, ADMIN, here)),
        "cards": (IN_WORK, lambda tx: cards.cards_of(tx, ADMIN, here)),
        "map": (IN_WORK, lambda tx: casemap.nearby(tx, ADMIN, here, {}, (116.0, 24.2, 116.3, 24.4))),
        "newer": (
            f"{IN_WORK}|cases_pkey",
            lambda tx: queue_page._newer(tx, ADMIN, here, {}, now - 1_000, []),
        ),
        "in work, due first": (IN_WORK, cases_(status="open", sort="due")),
        "in work, gravest first": (IN_WORK, cases_(status="open", sort="grade")),
        "newest": ("cases_pkey", cases_()),
        "changed last": ("cases_updated", cases_(sort="updated")),
        **{f"overdue, {sort}": (IN_WORK, cases_(overdue=True, sort=sort)) for sort in reading.SORTS},
        "suspended": (IN_WORK, cases_(status="suspended")),
        "closed": ("cases_pkey", cases_(status="closed", sort="due")),
        **{
            f"of a department, {sort}": (IN_WORK, cases_(department="441402-cg", status="open", sort=sort))
            for sort in reading.SORTS
        },
        "received": ("events_unsettled|events_in_lanes", lambda _: events_(state="received")),
        "since": ("events_pkey", lambda _: events_(since=datetime.now(UTC))),
        "events": ("events_pkey", lambda _: events_()),
        "failed": ("deliveries_unsent", lambda _: list_deliveries(ADMIN, here, status="failed")),
        "pending": (
            "deliveries_in_lanes|deliveries_in_order|deliveries_pkey",
            lambda _: list_deliveries(ADMIN, here, status="pending"),
        ),
        "of an endpoint": ("deliveries_by_endpoint", lambda _: list_deliveries(ADMIN, here, endpoint="none")),
        "held": ("deliveries_unsent|deliveries_held", held_count),
        "due": ("deliveries_in_lanes", anything_due),
        "claim of events": (
            "events_in_lanes|events_unsettled",
            lambda tx: claim_some(tx, FRESH, "grid", 100),
        ),
        "claim of deliveries": ("deliveries_in_lanes", lambda tx: claim_due(tx, Turns(), lambda *_: 100, 100)),
        "patrol, events": ("events_in_lanes|events_unsettled", lambda _: waiting_queues(here)),
        "clocks": ("cases_to_look_at", lambda _: follow_up(here.store, here.city, 0)),
        "stream": ("stream_position_key|stream_2", number_committed),
    }
    missing = {}
    for name, (index, ask) in questions.items():
        with plans(old) as found, here.store.write() as tx:
            ask(tx)
        if not re.search(index, "\n".join(found)):
            missing[name] = found
    assert missing == {}, "\n".join(f"{a}: {b}" for a, b in missing.items())


def test_metrics_go_through_nothing_that_lies_behind(old: Desk) -> None:
    old.now = now_ms()
    through = r"Seq Scan on (\w+) \1_1\b|Seq Scan on (cases|stream)\b"  # months that are empty are read as they are
    if old.here.store.engine.dialect.name == "sqlite":
        in_work = f"events_unsettled|{IN_WORK}|deliveries_(in_lanes|in_order|unsent)"
        through = rf"SCAN (events|cases|deliveries|attempts|ledger|stream)\b(?! USING (COVERING )?INDEX ({in_work})\b)"
        through += r"|deliveries_by_endpoint \(endpoint_id=\?\)"  # all that an endpoint ever got
    assert [plan for plan in plans_of_metrics(old) if re.search(through, plan)] == []


def test_what_a_key_with_a_scope_asks_goes_through_nothing_that_lies_behind(old: Desk) -> None:
    """Of one thing, or of what is new: whether it lies in the scope is looked up for that alone."""
    here, order = old.here, old.orders(old.rows(cases)[-1].id)[0]
    photo = old.photo(old.rows(events)[-1].id, of="event_id")
    through = r"(SCAN|Seq Scan on) (events|cases|work_orders|deliveries)\b"
    found: dict[str, list[str]] = {}
    for name, scope in SCOPES.items():
        key = Key(name, Role.SYSTEM, *scope)
        with plans(old) as told, here.store.read() as tx:
            visible_order(tx, order.id, key, here.city)
            attachments.visible(tx, photo, key, here.city, blobs.c.sha256)
            tx.execute(select(stream).where(stream.c.position > 0, stream_visible(key, here)).limit(10)).all()
        found |= {f"{name}: {plan}": plan for plan in told if re.search(through, plan)}
    assert found == {}


def test_coverage_of_the_present_goes_through_nothing_that_lies_behind(old: Desk) -> None:
    old.now = now_ms()
    here, divisions = old.here, old.here.city.divisions
    latest.keep(here.store, old.now, patience=60)
    through = r"(SCAN|Seq Scan on) (cases|work_orders|feedbacks|deliveries|attempts|ledger)\b"
    through += "(?! USING INDEX cases_pkey)"  # the first case, when the record begins
    found: dict[str, str] = {}
    for level in levels_of(here.city):
        for division in (None, divisions.level(level)[0]):
            counted = (division,) if division else divisions.level(level)
            scope = Scope(here.city, level, division, counted, here.city.registry.bases["union"])
            with plans(old) as told, here.store.read() as tx:
                coverage(tx, here, scope, old.now, include_demo=False)
            found |= {f"{level} {division}: {plan}": plan for plan in told if re.search(through, plan)}
    old.pass_time(seconds=30)
    with plans(old) as told:
        latest.keep(here.store, old.now, patience=60)
    assert len(told) > 5
    assert [*found, *(plan for plan in told if re.search(through, plan))] == []


def plans_of_metrics(desk: Desk) -> list[str]:
    flow = Flow(CollectorRegistry())
    with desk.here.store.read() as tx:
        flow.look(tx, desk.now)
    desk.pass_time(minutes=2)
    with plans(desk) as found, desk.here.store.read() as tx:
        list(standing(tx, desk.here))
        flow.look(tx, desk.now)
    assert len(found) > 12
    return found


@only_sqlite
def test_the_way_of_an_event_is_planned_well_without_statistics(desk: Desk) -> None:
    """Nobody asks an SQLite in use for any: a planner's first guess must be an index of what is in work."""
    asked: list[tuple[str, Callable[[Connection], Any]]] = [
        ("deliveries_in_lanes", anything_due),
        ("deliveries_in_lanes", lambda tx: claim_due(tx, Turns(), lambda *_: 100, 100)),
        ("events_in_lanes", lambda tx: claim_some(tx, FRESH, "grid", 100)),
        ("events_in_lanes", lambda tx: DUE.any(tx, of="grid")),
    ]
    for index, ask in asked:
        with plans(desk) as found, desk.here.store.write() as tx:
            ask(tx)
        assert index in "\n".join(found)


@only_sqlite
@pytest.mark.parametrize("cases_asked", [1, kinds.AT_ONCE])
def test_evidence_of_cases_is_looked_up_by_case_and_not_in_the_month(desk: Desk, cases_asked: int) -> None:
    """However many they are: above some number a planner without statistics would rather read the time."""
    of = [f"{number:032x}" for number in range(cases_asked)]
    asked = [kinds.relocations_of(of), *(ask(0, desk.now, of) for ask in latest.ALONE.values())]
    with plans(desk) as found, desk.here.store.read() as tx:
        for each in asked:
            tx.execute(each).all()
    first = [plan.splitlines()[0] for plan in found]
    assert [re.sub(r".*INDEX (\w+).*", r"\1", each) for each in first] == [
        "ledger_pkey", "cases_pkey", "deliveries_by_case", "work_orders_by_case", "ledger_pkey",
    ]  # fmt: skip


@contextmanager
def plans(desk: Desk) -> Iterator[list[str]]:
    """How each statement of the block that reads was planned, asked on its own connection before it runs."""
    found: list[str] = []
    engine = desk.here.store.engine
    postgresql = engine.dialect.name == "postgresql"
    whose = dict(parents(desk)) if postgresql else {}

    def before(_connection: Any, cursor: Any, statement: str, given: Any, _context: Any, many: bool) -> None:
        if many or not re.match(r"SELECT|WITH|UPDATE", statement):
            return
        apart = cursor.connection.cursor()
        if postgresql:  # three thousand rows are few: whether an index serves is asked, not whether it pays
            apart.execute("SET LOCAL enable_seqscan = off")
        apart.execute(("EXPLAIN (COSTS OFF) " if postgresql else "EXPLAIN QUERY PLAN ") + statement, given)
        plan = "\n".join(str(row[-1]) for row in apart.fetchall())
        plan = re.sub(r"sqlite_autoindex_(\w+)_1", r"\1_pkey", plan)
        found.append(re.sub(r"\w+", lambda word: whose.get(word[0], word[0]), plan))
        apart.close()

    event.listen(engine, "before_cursor_execute", before)
    yield found
    event.remove(engine, "before_cursor_execute", before)


def parents(desk: Desk) -> Any:
    """The index of a month, and that of the whole table."""
    with desk.here.store.read() as tx:
        return tx.execute(text("SELECT inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits")).all()
