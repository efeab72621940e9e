"""What a worker takes along: messages of new cases go out without a second claim, and as safely as with one."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores, refusing
from posting import FAILED, OK, claim, end, end_leases, switch, until
from sqlalchemy import Row
from steps import FIRE

from citybrain.casework.opening import open_cases
from citybrain.clock import now_ms
from citybrain.dispatch.delivery import Attempt, settle
from citybrain.dispatch.lane import START
from citybrain.dispatch.pouch import Pouch
from citybrain.routing.record import shorten
from citybrain.routing.report import Filed
from citybrain.store.claims import ClaimLost
from citybrain.store.dispatch_tables import attempts, deliveries
from citybrain.store.tables import events
from workers.deliver import PostRoom
from workers.handle import FRESH, claim_some, handle_batch

pytestmark = both_stores


def everything(_endpoint_id: str) -> bool:
    return True


def fill(desk: Desk, takes: Callable[[str], bool] = everything, domain: str = "grid") -> Pouch:
    """Opens the cases of what was reported, with a pouch at hand; nothing is sent."""
    here = desk.here
    with here.store.write() as tx:
        rows = sorted(claim_some(tx, FRESH, domain, 1_000), key=lambda row: str(row.id))
    filed = [Filed.of_record(row, here.city.zone) for row in rows]
    decisions = here.domains[domain].decide(filed, here.context(domain, desk.now))
    explanations = [shorten(each.explanation, event) for each, event in zip(decisions, filed, strict=True)]
    pouch = Pouch(takes)
    with here.store.write() as tx:
        open_cases(tx, rows, decisions, explanations, here.basis(domain), here, desk.now, pouch)
    return pouch


def row_of(desk: Desk, delivery_id: str) -> Row[Any]:
    return desk.row(deliveries, deliveries.c.id == delivery_id)


def test_a_new_case_is_sent_by_who_opened_it_and_no_bell_is_needed(desk: Desk, room: PostRoom, receiver: Any) -> None:
    desk.endpoint("good", url=receiver.url)
    desk.report({}, {})
    assert handle_batch(desk.here, "grid", room) == 2
    until(lambda: {row.status for row in desk.rows(deliveries)} == {"delivered"})
    assert [(row.tries, row.lease_until) for row in desk.rows(deliveries)] == [(1, 0)] * 2
    assert len(desk.rows(attempts)) == len(receiver.messages) == 2
    assert desk.bells.rung == ["events.grid"]


def test_a_worker_that_does_not_deliver_takes_nothing_along_and_rings(desk: Desk) -> None:
    desk.endpoint("good")
    desk.report({})
    handle_batch(desk.here, "grid")
    assert desk.row(deliveries).tries == 0
    assert desk.bells.rung[-1] == "dispatch"


def test_it_is_claimed_like_anything_else_with_a_lease_by_the_databases_clock(desk: Desk) -> None:
    desk.endpoint("good")
    desk.report({})
    before = now_ms()
    ((held, outgoing),) = fill(desk).claimed
    row = row_of(desk, held.id)
    assert (row.status, row.fence, row.tries) == ("pending", held.fence, held.tries) == ("pending", 1, 1)
    assert before + 24_000 <= row.lease_until <= now_ms() + 26_000
    assert outgoing.body.decode() == row.body
    assert claim(desk) == []


def test_what_a_dead_worker_had_taken_along_goes_out_when_its_lease_ends(desk: Desk) -> None:
    desk.endpoint("good")
    desk.report({})
    ((held, _),) = fill(desk).claimed
    end_leases(desk)
    again = claim(desk)
    assert [(row.id, row.tries) for row, _ in again] == [(held.id, 2)]
    with pytest.raises(ClaimLost), desk.here.store.write() as tx:
        settle(tx, [Attempt(held, FAILED, desk.now)], desk.now, random.Random(1))


def test_only_the_first_message_of_a_case_to_an_endpoint_goes_at_once(desk: Desk) -> None:
    """A fire has a lead and three assistants; an endpoint that serves all of them gets four messages, in order."""
    all_ = desk.endpoint("all")
    lead = desk.endpoint("lead", department="441402-xf")
    desk.report(FIRE)
    pouch = fill(desk, domain="fire")
    assert sorted(held.endpoint_id for held, _ in pouch.claimed) == sorted([all_, lead])
    assert len(desk.rows(deliveries, deliveries.c.endpoint_id == all_)) == 4
    assert claim(desk) == []  # they wait for the first
    to_all = [(held, outgoing) for held, outgoing in pouch.claimed if held.endpoint_id == all_]
    end(desk, to_all, OK)
    assert len(claim(desk)) == 1


def test_older_messages_go_first_and_so_do_graver_ones(desk: Desk) -> None:
    desk.endpoint("good")
    desk.open()  # waits
    desk.report({})
    assert fill(desk).claimed == []
    end(desk, claim(desk), OK)

    one = iter([True])
    desk.report({"title": "light", "grade": 4}, {"title": "grave", "grade": 1})
    taken = fill(desk, lambda _endpoint_id: next(one, False)).claimed
    assert [held.grade for held, _ in taken] == [1]


def test_what_persons_are_put_into_is_claimed_the_ordinary_way_and_what_is_held_by_nobody(desk: Desk) -> None:
    desk.endpoint("persons", unmasked=True)
    switch(desk, desk.endpoint("disabled"), False)
    desk.report({"reporter": {"name": "张三", "phone": "13800001111"}})
    assert fill(desk).claimed == []
    assert ["张三" in outgoing.body.decode() for _, outgoing in claim(desk)] == [True]


def test_nothing_is_sent_when_the_commit_fails(desk: Desk, room: PostRoom, receiver: Any) -> None:
    desk.endpoint("good", url=receiver.url)
    desk.report({}, {})
    with refusing(desk.here.store, "stream", full=True):
        handle_batch(desk.here, "grid", room)
    assert (room.size(), receiver.messages, desk.rows(deliveries)) == (0, [], [])
    desk.set(events, events.c.lease_until > 0, lease_until=0)
    handle_batch(desk.here, "grid", room)
    until(lambda: len(receiver.messages) == 2)


def test_the_lane_of_an_endpoint_that_answered_is_deep_and_shallow_again_when_it_fails(
    desk: Desk, room: PostRoom, receiver: Any
) -> None:
    desk.endpoint("good", url=receiver.url)

    def flood() -> int:
        """How many of 100 messages are on their way at once, while the receiver does not answer."""
        receiver.open.clear()
        desk.report(*[{}] * 100)
        handle_batch(desk.here, "grid", room)
        size = room.size()
        receiver.open.set()
        until(lambda: room.claim() or not room.size())
        return size

    assert flood() == START  # new
    assert flood() == 100
    receiver.status = 503
    desk.report({})
    handle_batch(desk.here, "grid", room)
    until(lambda: not room.size())
    receiver.status = 204
    assert flood() < 100
