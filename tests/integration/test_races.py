"""Several at once, on both stores: SQLite has one writer, PostgreSQL has rows, locks and unique keys to hold to.
Whoever comes second waits, is told, or finds it done; nobody is told that the store is in a deadlock."""

import math
import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from desk import ADMIN, Desk
from postgres import both_stores, only_postgresql
from posting import FAILED, OK, claim, end, switch
from serving import wait_until
from sqlalchemy import event, insert, text
from steps import BODIES, FIRE
from wholeness import check_whole

from citybrain.casework.amendment import load
from citybrain.casework.case import STEPS
from citybrain.casework.opening import open_cases
from citybrain.casework.writing import StaleVersion, write
from citybrain.dispatch import endpoint as endpoint_
from citybrain.dispatch.api import retry_delivery
from citybrain.indicators.activity import note_changes
from citybrain.intake.filing import file
from citybrain.intake.reading import replay_event
from citybrain.keys import create_key, ensure_admin
from citybrain.problem import Problem
from citybrain.routing.record import shorten
from citybrain.routing.report import Filed
from citybrain.store.coverage_tables import domain_activity
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events, feedbacks, keys, receipts
from workers.handle import FRESH, claim_some, handle_batch

pytestmark = both_stores
SEQUENCES = int(os.environ.get("CITYBRAIN_SEQUENCES", "60"))
PEOPLE = 3  # people at one case
SMOKE = {"domain": "fire", "attributes": {"device_id": "d1", "states": ["fire"], "component_type": 40}}  # merged
Call = Callable[[], Any]


def at_once(*calls: Call) -> list[Any]:
    """What each returned, or the Problem that it was told."""
    gate = Barrier(len(calls))

    def run(call: Call) -> Any:
        gate.wait()
        try:
            return call()
        except Problem as problem:
            return problem

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def meanwhile(desk: Desk, call: Call) -> None:
    """Calls it while forty cases are opened, written and not yet committed."""
    desk.report(*[{}] * 40)
    here = desk.here
    with here.store.write() as tx:
        rows = sorted(claim_some(tx, FRESH, "grid", 40), key=lambda row: str(row.id))
    filed = [Filed.of_record(row, here.city.zone) for row in rows]
    decisions = here.domains["grid"].decide(filed, here.context("grid", desk.now))
    explanations = [shorten(each.explanation, event) for each, event in zip(decisions, filed, strict=True)]
    with ThreadPoolExecutor(1) as pool:
        with here.store.write() as tx:
            open_cases(tx, rows, decisions, explanations, here.basis("grid"), here, desk.now)
            called = pool.submit(call)
            with suppress(TimeoutError):
                called.result(0.5)
        called.result()


def statuses(results: list[Any]) -> Counter[int]:
    return Counter(result.status if isinstance(result, Problem) else 200 for result in results)


def test_batches_with_the_same_ids_in_any_order_are_one_event_an_id(desk: Desk) -> None:
    ids = [f"same-{number}" for number in range(60)]
    orders = [ids, ids[::-1], *(random.sample(ids, len(ids)) for _ in range(4))]

    def post(order: list[str]) -> dict[str, str]:
        return dict(zip(order, desk.report(*({"source_event_id": each} for each in order)), strict=True))

    answers = at_once(*(lambda order=order: post(order) for order in orders))
    assert all(answer == answers[0] for answer in answers)
    assert {row.id for row in desk.rows(events)} == set(answers[0].values())
    assert {(row.source_event_id, row.event_id) for row in desk.rows(receipts)} == set(answers[0].items())


@only_postgresql
def test_batches_with_the_same_ids_in_opposite_orders_do_not_wait_in_a_circle(desk: Desk) -> None:
    """Somebody else has the id in the middle until both have come so far, and then does not keep it."""
    ids = [f"same-{number}" for number in range(9)]
    orders = [desk.filings(*({"source_event_id": each} for each in order)) for order in (ids, ids[::-1])]
    refused: list[str] = []
    event.listen(desk.here.store.engine, "handle_error", lambda error: refused.append(str(error.original_exception)))

    def waiting() -> bool:
        with desk.here.store.read() as tx:
            return tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar() == 2

    with ThreadPoolExecutor(2) as pool:
        with suppress(KeyError), desk.here.store.write() as tx:
            held = {"source": desk.key.name, "source_event_id": ids[4], "event_id": "none", "body_hash": b""}
            tx.execute(insert(receipts).values(held))
            posted = [pool.submit(file, order, desk.here) for order in orders]
            wait_until(waiting)
            raise KeyError
        forth, back = [[receipt.id for receipt in each.result()] for each in posted]
    assert forth == back[::-1]
    assert refused == []  # nobody was rolled back and run again


def test_workers_of_one_domain_open_a_case_for_each_event_and_number_them_without_doubles(desk: Desk) -> None:
    desk.report(*[{}] * 1_500)
    while any(at_once(*[lambda: handle_batch(desk.here, "grid")] * 3)):
        pass
    found = desk.rows(cases)
    assert len({case.number for case in found}) == len(found) == 1_500
    assert {row.state for row in desk.rows(events)} == {"cased"}
    assert desk.broken() == []


def test_a_thing_reported_to_several_workers_is_one_case(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.report(*[SMOKE] * 4)
    desk.set(events, events.c.tries == 0, tries=1)  # each worker takes one
    at_once(*[lambda: handle_batch(desk.here, "fire")] * 4)
    desk.handle("fire")
    (case,) = desk.rows(cases)
    assert (case.event_count, [row.case_id for row in desk.rows(events)]) == (4, [case.id] * 4)
    assert caplog.messages == []  # no worker opened a second one, to be refused and to try again
    assert desk.broken() == []


def test_one_of_several_operators_acts_and_the_others_are_told(desk: Desk) -> None:
    case = desk.open()
    results = at_once(*[lambda: desk.act(case.id, "note", version=case.version, text="已电话联系")] * 6)
    assert statuses(results) == {200: 1, 409: 5}
    assert all("acted first" in told.detail for told in results if isinstance(told, Problem))
    assert desk.case(case.id).version == case.version + 1


def test_what_was_read_before_somebody_changed_it_is_never_written(desk: Desk) -> None:
    """Nobody decides by such a reading, as rows are locked; if somebody did, it would not come to the store."""
    case = desk.open()
    with desk.here.store.write() as tx:
        late = load(tx, case.id, "late", desk.now)
    desk.act(case.id, "note", text="已电话联系")
    late.note("noted", text="晚了")
    with pytest.raises(StaleVersion), desk.here.store.write() as tx:
        write(tx, [late], desk.here.city)
    assert "late" not in {actor for actor, _ in desk.story(case.id)}


def test_two_cases_merged_into_each_other_end_in_one_of_them(desk: Desk) -> None:
    for _ in range(5):
        one, two = desk.open(), desk.open()
        results = at_once(
            partial(desk.act, one.id, "merge", version=1, into=two.id),
            partial(desk.act, two.id, "merge", version=1, into=one.id),
        )
        assert statuses(results) == {200: 1, 409: 1}
    assert desk.broken() == []


def test_cases_are_split_while_others_are_opened(desk: Desk) -> None:
    """A split takes a number after its case, a worker the other way round."""
    desk.report(SMOKE, SMOKE, SMOKE)
    desk.handle("fire")
    (case,) = desk.rows(cases)
    desk.report(*[SMOKE] * 20)
    desk.set(events, (events.c.state == "received"), tries=1)
    taken = desk.rows(events)[0].id
    at_once(
        lambda: desk.act(case.id, "split", version=case.version, events=[taken]),
        lambda: desk.handle("fire"),
        lambda: desk.handle("fire"),
    )
    desk.handle("fire")
    assert {row.state for row in desk.rows(events)} <= {"cased", "triage"}
    assert desk.broken() == []


def test_whatever_several_people_do_at_once_every_case_stays_whole(desk: Desk) -> None:
    """Each of a case's three does random things in sequence, going on with what it last saw. CITYBRAIN_SEQUENCES=1000
    for more of them."""
    desk.report(*[{}] * math.ceil(SEQUENCES / PEOPLE))
    desk.handle()
    for number, case in enumerate(desk.rows(cases)):
        at_once(*(partial(work, desk, case.id, random.Random(f"{number}-{each}")) for each in range(PEOPLE)))
    check_whole(desk)
    assert desk.broken() == []


def work(desk: Desk, case_id: str, chance: random.Random) -> None:
    case = desk.case(case_id)
    for _ in range(4):
        if chance.random() < 0.4:
            answer = chance.choice(["accepted", "completed", "completed", "returned"])
            with suppress(Problem):
                desk.answer(desk.lead(case_id).id, answer, f"f-{chance.random()}")
        else:
            action = chance.choice(sorted(set(STEPS) - {"merge", "split", "judge", "appeal"}))
            with suppress(Problem):
                desk.act(case_id, action, version=case.version, **BODIES[action])
        case = desk.case(case_id) if chance.random() < 0.7 else case


def test_a_feedback_sent_several_times_at_once_is_taken_once(desk: Desk) -> None:
    case = desk.open()
    order = desk.lead(case.id).id
    at_once(*[lambda: desk.answer(order, "completed", "f-1")] * 6)
    assert len(desk.rows(feedbacks)) == 1
    assert [action for _, action in desk.story(case.id)].count("completed") == 1


def test_all_departments_completing_at_once_complete_the_case(desk: Desk) -> None:
    case = desk.open(**FIRE)
    orders = desk.orders(case.id)
    assert len(orders) > 2
    at_once(*(lambda order=order: desk.answer(order.id, "completed", order.id) for order in orders))
    assert desk.case(case.id).status == "completed"
    assert [action for _, action in desk.story(case.id)].count("completed") == 1
    assert desk.broken() == []


def test_a_quarantined_event_is_replayed_once(desk: Desk) -> None:
    event_id = desk.report({})[0]
    desk.set(events, events.c.id == event_id, state="quarantined")
    results = at_once(*[lambda: replay_event(event_id, desk.key, desk.here)] * 4)
    assert statuses(results) == {200: 1, 409: 3}
    assert [row.action for row in desk.rows(ledger)].count("event.replayed") == 1


def test_no_message_misses_an_endpoint_that_comes_while_cases_are_opened(desk: Desk) -> None:
    meanwhile(desk, lambda: desk.endpoint("platform", domains=["grid"]))
    assert len(desk.rows(deliveries)) == 40
    assert [row.held_because for row in desk.rows(deliveries) if row.held_because] == []


def test_no_message_stays_with_an_endpoint_that_goes_while_cases_are_opened(desk: Desk) -> None:
    gone = desk.endpoint("platform", domains=["grid"])

    def delete() -> None:
        with desk.here.store.write() as tx:
            endpoint_.delete(tx, gone, "liu", desk.now)

    meanwhile(desk, delete)
    assert {row.held_because for row in desk.rows(deliveries)} == {"no_endpoint"}


def test_attempts_are_recorded_while_their_endpoint_is_switched(desk: Desk) -> None:
    """Both write the endpoint and its deliveries; an outage that is over touches deliveries of other workers too."""
    ids = [desk.endpoint(name, domains=["grid"]) for name in ("a", "b")]
    desk.report(*[{}] * 40)
    desk.handle()
    for number in range(4):
        sent = [claim(desk, limit=20) for _ in range(3)]
        outcomes = [(OK,), (FAILED,), (FAILED, OK)]
        at_once(
            *(lambda s=s, o=o: end(desk, s, *o) for s, o in zip(sent, outcomes, strict=True) if s),
            lambda number=number: switch(desk, ids[number % 2], number % 3 > 0),
        )
    for each in ids:
        switch(desk, each, True)
    assert {row.status for row in desk.rows(deliveries)} <= {"pending", "delivered"}
    assert desk.broken() == []


def test_a_delivery_that_arrives_while_it_is_retried_is_not_sent_again(desk: Desk) -> None:
    desk.endpoint("platform", domains=["grid"])
    for _ in range(5):
        desk.open()
        (sent,) = claim(desk)
        results = at_once(lambda s=sent: end(desk, [s], OK), lambda s=sent: retry_delivery(s[0].id, ADMIN, desk.here))
        row = desk.row(deliveries, deliveries.c.id == sent[0].id)
        if isinstance(results[1], Problem):
            assert (results[1].status, row.status) == (409, "delivered")
        else:
            assert row.tries == 0 or row.status == "delivered"


def test_of_several_keys_with_one_name_one_is_made(desk: Desk) -> None:
    def make() -> str:
        with desk.here.store.write() as tx:
            return create_key(tx, "li", "operator", desk.now, "test")

    assert statuses(at_once(*[make] * 5)) == {200: 1, 409: 4}


def test_machines_that_start_together_make_one_admin(desk: Desk) -> None:
    def start() -> None:
        with desk.here.store.write() as tx:
            ensure_admin(tx, "cb1234567890.secret", desk.now)

    assert at_once(*[start] * 5) == [None] * 5
    assert [row.name for row in desk.rows(keys)] == ["admin"]
    assert [row.action for row in desk.rows(ledger)] == ["key.created"]


def test_patrols_that_meet_note_a_domain_once(desk: Desk) -> None:
    def note() -> None:
        with desk.here.store.write() as tx:
            note_changes(tx, desk.here)

    at_once(*[note] * 4)
    assert sorted(row.domain for row in desk.rows(domain_activity)) == sorted(desk.here.domains)
    assert [row.action for row in desk.rows(ledger)].count("registry.loaded") == 1
