"""What an administrator sees of an endpoint, of what waits for one, and what can be sent again."""

from typing import Any

import pytest
from desk import ADMIN, Desk
from postgres import both_stores
from posting import FAILED, OK, claim, end, in_the_present, switch
from sqlalchemy import false, true
from steps import FIRE

from citybrain.clock import to_datetime
from citybrain.dispatch.address import AllowList
from citybrain.dispatch.api import (
    create_endpoint,
    delivery_queues,
    endpoint_health,
    list_endpoints,
    patch_endpoint,
    replay,
    retry_many,
    rotate,
    rotate_as_seen,
    show_endpoint,
)
from citybrain.dispatch.backlog import Backlog, backlogs
from citybrain.dispatch.delivery import outgoing
from citybrain.dispatch.health import states
from citybrain.dispatch.pace import HOUR_MS, Pace, paces
from citybrain.dispatch.queues import raise_alerts
from citybrain.dispatch.sender import Sender
from citybrain.dispatch.signature import verify
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from citybrain.store.dispatch_tables import deliveries, dispatch_alerts, endpoints
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import stream

pytestmark = both_stores
URL = {"url": "https://example.com/hook"}


def health_of(desk: Desk, endpoint_id: str) -> dict[str, Any]:
    shown = show_endpoint(endpoint_id, ADMIN, desk.here)
    assert shown in list_endpoints(ADMIN, desk.here)["items"]
    health = endpoint_health(endpoint_id, ADMIN, desk.here)
    assert shown["health"].items() <= health.items()
    return health


def waiting(desk: Desk, key: Key = ADMIN) -> list[tuple[str, Any, int, bool]]:
    found = delivery_queues(key, desk.here)["items"]
    return [(each["queue"], each["department"], each["waiting"], each["overdue"]) for each in found]


def moment(desk: Desk) -> str:
    return to_datetime(desk.now).isoformat()


# Health


def test_an_endpoints_state_says_since_when_and_what_waits(desk: Desk) -> None:
    in_the_present(desk)
    light = desk.endpoint("light")
    assert health_of(desk, light)["state"] == "untried"
    for _ in range(10):
        desk.open()
    end(desk, claim(desk, limit=2), OK)
    health = health_of(desk, light)
    assert (health["state"], health["waiting"]) == ("well", 8)
    assert health["attempts_ms"] == {"p50": 12, "p99": 12, "of": 2}
    assert health["oldest_waiting_at"] is not None
    end(desk, claim(desk, limit=1), FAILED)
    assert health_of(desk, light)["state"] == "failing"
    desk.pass_time(milliseconds=5)
    end(desk, claim(desk, limit=5), FAILED)
    health = health_of(desk, light)
    assert (health["state"], health["failures"], health["waiting"]) == ("unreachable", 6, 8)
    assert health["next_probe_at"] > health["since"]
    switch(desk, light, False)
    health = health_of(desk, light)
    assert (health["state"], health["waiting"], health["next_probe_at"]) == ("disabled", 8, None)
    switch(desk, light, True)
    assert len(claim(desk)) == 8  # it is tried at once, whatever was the matter before


def test_what_waits_failed_and_arrived_lately_is_counted_by_endpoint(desk: Desk) -> None:
    in_the_present(desk)
    light, dark = desk.endpoint("light"), desk.endpoint("dark", types=["c01001"])
    for _ in range(4):
        desk.open()
    end(desk, claim(desk, limit=2), OK)
    end(desk, claim(desk, limit=1), FAILED)
    last = max(row.id for row in desk.rows(deliveries))
    desk.set(deliveries, deliveries.c.id == last, status="failed")
    with desk.here.store.read() as tx:
        found = backlogs(tx, [light, dark], true())
        hour, later = (paces(tx, since) for since in (desk.now - HOUR_MS, desk.now + HOUR_MS))
    assert (found[light].pending, found[light].held, found[light].failed) == (1, 0, 1)
    assert found[dark] == Backlog()
    assert hour.of == {light: Pace(2, 3, 12, 12)}
    assert later.of == {}
    switch(desk, light, False)
    with desk.here.store.read() as tx:
        assert backlogs(tx, [light], true())[light].held == 1
        assert backlogs(tx, [light], false())[light] == Backlog()
        assert states(tx, true()) == {"well": 0, "failing": 0, "unreachable": 0, "disabled": 1, "untried": 1}
    disabled = list_endpoints(ADMIN, desk.here, "disabled")["items"]
    assert [each["id"] for each in disabled] == [light]


def test_a_secret_that_was_rotated_meanwhile_is_not_rotated_again_by_mistake(desk: Desk) -> None:
    light = desk.endpoint("light")
    rotate_as_seen(light, ADMIN, desk.here, 0)
    before = desk.row(endpoints, endpoints.c.id == light).secrets
    with pytest.raises(Problem) as refused:
        rotate_as_seen(light, ADMIN, desk.here, 0)
    assert refused.value.status == 409
    assert desk.row(endpoints, endpoints.c.id == light).secrets == before
    rotate_as_seen(light, ADMIN, desk.here, before[1]["until"])


def test_each_secret_signs_for_a_day_after_it_was_replaced_and_five_at_most(desk: Desk) -> None:
    light = desk.endpoint("light")

    def signing() -> list[str]:
        row = desk.row(endpoints, endpoints.c.id == light)
        return list(outgoing("msg_1", row, b"", desk.now).secrets)

    def rotated() -> str:
        made: str = rotate(light, ADMIN, desk.here)["secret"]
        desk.pass_time(hours=5)
        return made

    (first,) = signing()
    second, third, fourth, fifth = (rotated() for _ in range(4))
    assert signing() == [fifth, fourth, third, second, first]
    with pytest.raises(Problem, match="5 secrets sign already, as many as can: wait until 2025-03-04T01:00") as refused:
        rotated()
    assert refused.value.status == 409
    desk.pass_time(hours=4)
    assert signing() == [fifth, fourth, third, second]
    sixth = rotated()
    assert signing() == [sixth, fifth, fourth, third]


def test_another_address_is_tried_at_once(desk: Desk) -> None:
    light = desk.endpoint("light")
    desk.set(endpoints, endpoints.c.id == light, opened_at=1, probe_at=2**52, grave_probe_at=2**52, failures=9)
    patch_endpoint(light, ADMIN, desk.here, URL)
    assert health_of(desk, light)["state"] == "untried"


# Limits and signatures


def test_limits_and_signatures_are_set_shown_and_taken_back(desk: Desk) -> None:
    made = create_endpoint(ADMIN, desk.here, {"name": "a", **URL, "signatures": ["v1", "v1sm3"], "concurrency": 4})
    assert (made["signatures"], made["concurrency"], made["per_minute"]) == (["v1", "v1sm3"], 4, None)
    change = {"signatures": None, "concurrency": None, "per_minute": 600}
    answer = patch_endpoint(made["id"], ADMIN, desk.here, change)
    assert (answer["signatures"], answer["concurrency"], answer["per_minute"]) == (["v1"], None, 600)


@pytest.mark.parametrize(
    ("field", "value"),
    [("concurrency", 0), ("concurrency", 1_001), ("concurrency", "4"), ("per_minute", 0), ("per_minute", 1.5),
     ("signatures", []), ("signatures", ["v2"]), ("signatures", "v1sm3")],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused_by_name(desk: Desk, field: str, value: Any) -> None:
    with pytest.raises(Problem) as refused:
        create_endpoint(ADMIN, desk.here, {"name": "a", **URL, field: value})
    assert refused.value.status == 422
    assert refused.value.errors[0].field.split(".")[0] == field


def test_a_message_is_signed_as_its_endpoint_asks(desk: Desk) -> None:
    made = create_endpoint(ADMIN, desk.here, {"name": "a", **URL, "signatures": ["v1sm3"]})
    desk.open()
    ((_, outgoing),) = claim(desk)
    headers = Sender(AllowList(), clock=lambda: 1_000.0)._headers(outgoing)
    assert headers["webhook-signature"].startswith("v1sm3,")
    assert verify([made["secret"]], headers, outgoing.body, now=1_000, identifier="v1sm3")


# Queues with a deadline


def test_what_waits_for_an_endpoint_is_a_queue_with_a_deadline(desk: Desk) -> None:
    desk.open()
    desk.open()
    assert waiting(desk) == [("missing_endpoint", "441402-cg", 2, False)]
    desk.pass_time(hours=25)
    assert waiting(desk) == [("missing_endpoint", "441402-cg", 2, True)]
    light = desk.endpoint("light", department="441402-cg")
    assert waiting(desk) == []
    desk.set(endpoints, endpoints.c.id == light, opened_at=desk.now)
    assert waiting(desk) == [("unreachable", "441402-cg", 2, False)]
    switch(desk, light, False)
    assert waiting(desk) == [("disabled", "441402-cg", 2, False)]
    other = Key("other", Role.OPERATOR, frozenset(), frozenset({"441481"}), frozenset())
    assert waiting(desk, other) == []


def test_what_is_grave_may_wait_a_quarter_of_an_hour(desk: Desk) -> None:
    desk.open(**FIRE)
    desk.pass_time(minutes=16)
    assert {overdue for *_, overdue in waiting(desk)} == {True}


def test_past_the_deadline_it_is_told_once_and_anew_when_it_happens_again(desk: Desk) -> None:
    patience = desk.here.city.file.webhooks.patience

    def told() -> int:
        with desk.here.store.write() as tx:
            return raise_alerts(tx, patience, desk.now)

    desk.open()
    assert told() == 0
    desk.pass_time(hours=25)
    assert (told(), told()) == (1, 0)
    assert [row.action for row in desk.rows(ledger, ledger.c.chain == "city")] == ["dispatch.overdue"]
    change = desk.rows(stream)[-1]
    assert (change.data["department"], change.domain, change.county) == ("441402-cg", "grid", "441402")
    light = desk.endpoint("light", department="441402-cg")
    assert told() == 0
    assert desk.rows(dispatch_alerts) == []
    switch(desk, light, False)
    desk.pass_time(hours=5)
    assert (told(), told()) == (1, 0)
    assert desk.broken() == []


# Sending again


def again(desk: Desk, endpoint_id: str, **asked: Any) -> dict[str, Any]:
    return replay(endpoint_id, ADMIN, desk.here, asked)


def test_a_replay_takes_what_fits_and_a_dry_run_only_counts(desk: Desk) -> None:
    light = desk.endpoint("light")
    first = desk.open()
    begun = moment(desk)
    desk.pass_time(minutes=1)
    middle = moment(desk)
    second = desk.open()
    desk.act(second.id, "supervise", reason="催办")
    end(desk, claim(desk), OK)
    end(desk, claim(desk), OK)
    desk.set(deliveries, deliveries.c.case_id == first.id, status="failed")
    counts = {
        "all": again(desk, light, since=begun, dry_run=True),
        "later": again(desk, light, since=middle, dry_run=True),
        "until": again(desk, light, since=begun, until=middle, dry_run=True),
        "types": again(desk, light, since=begun, types=["work_order.supervised"], dry_run=True),
        "status": again(desk, light, since=begun, status=["failed"], dry_run=True),
        "case": again(desk, light, case=second.id, dry_run=True),
    }
    assert {name: found["would_replay"] for name, found in counts.items()} == {
        "all": 3, "later": 2, "until": 1, "types": 1, "status": 1, "case": 2,
    }  # fmt: skip
    assert claim(desk) == []
    assert again(desk, light, since=begun, status=["failed"]) == {"replayed": 1}
    assert [row.case_id for row, _ in claim(desk)] == [first.id]
    for wrong in ({}, {"since": None}, {"until": middle}, {"since": begun, "status": ["held"]}, {"since": "gestern"}):
        with pytest.raises(Problem):
            again(desk, light, **wrong)


def test_many_deliveries_are_retried_at_once_and_each_is_told_apart(desk: Desk) -> None:
    desk.endpoint("light")
    for _ in range(3):
        desk.open()
    end(desk, claim(desk), OK)
    ids = [row.id for row in desk.rows(deliveries)]
    desk.set(deliveries, deliveries.c.id != ids[0], status="failed")
    answer = retry_many(ADMIN, desk.here, {"ids": [*ids, "msg_nobody"]})
    assert [each["outcome"] for each in answer["results"]] == ["not_retried", "retried", "retried", "not_found"]
    assert {row.id for row, _ in claim(desk)} == set(ids[1:])
    other = Key("other", Role.OPERATOR, frozenset(), frozenset({"441481"}), frozenset())
    hidden = retry_many(other, desk.here, {"ids": ids[1:2]})
    assert hidden["results"][0]["outcome"] == "not_found"
