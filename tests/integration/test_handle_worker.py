"""The worker of a domain's queue: an event that fails or kills holds nobody up, is quarantined, and can be replayed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from desk import Bells, Desk
from postgres import both_stores, refusing

from citybrain.domain import load_domains
from citybrain.intake.reading import replay_event, show_event
from citybrain.problem import Problem
from citybrain.queue import Ringer
from citybrain.routing.decision import Decision
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events, stream
from workers.handle import handle_batch

pytestmark = both_stores

MANIFEST = """
[domain]
code = "deadly"
name = "致命"
name_en = "Deadly"
version = "1.0"

[[type]]
code = "deadly.thing"
name = "某事"
name_en = "Something"
class = "其他"
terms = ["某事"]
grade = 4
limit = { amount = 1, unit = "hours" }
duty = "city_management"
level = "county"
examples = ["某事发生了"]
"""
HANDLER = """
import os
from citybrain.routing.route import route

def decide(events, context):
    if any(event.title == "毒" for event in events):
        os._exit(9)
    return route(events, context)
"""
HANDLE = "from workers.handle import handle; handle('deadly')"


def break_on(desk: Desk, title: str) -> Any:
    """A handler of the grid that raises for events of that title. Returns the sound one."""
    sound = desk.here.domains["grid"].decide

    def decide(given: Any, context: Any) -> list[Decision]:
        if any(each.title == title for each in given):
            raise ZeroDivisionError("nobody thought of this")
        return sound(given, context)

    use(desk, decide)
    return sound


def use(desk: Desk, decide: Any) -> None:
    desk.here.domains = {**desk.here.domains, "grid": replace(desk.here.domains["grid"], decide=decide)}


def make_due(desk: Desk) -> None:
    desk.set(events, events.c.due_at > 0, due_at=desk.now)


def quarantined(desk: Desk) -> str:
    """An event that its handler could not handle."""
    event_id = desk.report({"title": "毒"})[0]
    desk.handle()  # its later times have come long ago by the database's clock
    assert desk.event(event_id).state == "quarantined"
    return event_id


def test_one_event_that_fails_takes_no_other_along(desk: Desk) -> None:
    break_on(desk, "毒")
    ids = desk.report({}, {}, {"title": "毒"}, {}, {})
    handle_batch(desk.here, "grid")
    assert [desk.event(each).state for each in ids] == ["cased", "cased", "received", "cased", "cased"]
    assert desk.broken() == []


def test_it_is_tried_again_later_and_later_and_quarantined_with_its_traceback_after_the_third_time(desk: Desk) -> None:
    break_on(desk, "毒")
    event_id = desk.report({"title": "毒"})[0]
    for tries in (1, 2):
        handle_batch(desk.here, "grid")
        row = desk.event(event_id)
        assert (row.state, row.tries, row.due_at - desk.now, row.lease_until) == ("received", tries, 1_000 * tries, 0)
        make_due(desk)
    handle_batch(desk.here, "grid")
    row = desk.event(event_id)
    assert (row.state, row.case_id) == ("quarantined", None)
    assert "ZeroDivisionError: nobody thought of this" in row.trace
    assert "test_handle_worker.py" in row.trace
    assert desk.rows(stream)[-1].type == "event.quarantined"
    assert handle_batch(desk.here, "grid") == 0
    assert desk.broken() == []


def test_a_quarantined_event_is_shown_with_its_traceback_and_goes_its_way_once_replayed(desk: Desk) -> None:
    sound = break_on(desk, "毒")
    event_id = quarantined(desk)
    assert "ZeroDivisionError" in show_event(event_id, desk.key, desk.here)["trace"]
    use(desk, sound)
    replay_event(event_id, desk.key, desk.here)
    assert desk.bells.rung[-1] == "events.grid"
    desk.handle()
    assert desk.event(event_id).state == "cased"
    assert desk.rows(ledger, ledger.c.chain == "city")[-1].action == "event.replayed"
    with pytest.raises(Problem) as refused:
        replay_event(event_id, desk.key, desk.here)
    assert refused.value.status == 409
    assert desk.broken() == []


def test_a_replayed_event_that_fails_again_has_three_tries_again(desk: Desk) -> None:
    break_on(desk, "毒")
    event_id = quarantined(desk)
    replay_event(event_id, desk.key, desk.here)
    for _ in range(2):
        handle_batch(desk.here, "grid")
        assert desk.event(event_id).state == "received"
    handle_batch(desk.here, "grid")
    assert desk.event(event_id).state == "quarantined"


def test_a_worker_that_has_lost_an_event_says_nothing_about_it_any_more(desk: Desk) -> None:
    """Its third try failed, but meanwhile another worker had given the event up, and an operator has replayed it."""

    def slow(_given: Any, _context: Any) -> list[Decision]:
        desk.set(events, events.c.lease_until > 0, lease_until=0)
        handle_batch(desk.here, "grid")
        replay_event(event_id, desk.key, desk.here)
        raise ZeroDivisionError

    event_id = desk.report({})[0]
    desk.set(events, events.c.id == event_id, tries=2)
    use(desk, slow)
    handle_batch(desk.here, "grid")
    row = desk.event(event_id)
    assert (row.state, row.tries, row.trace) == ("received", 0, None)
    assert [each.type for each in desk.rows(stream)].count("event.quarantined") == 1


def test_events_of_a_domain_that_is_no_longer_there_are_quarantined_and_not_lost(desk: Desk) -> None:
    event_id = desk.report({})[0]
    desk.here.domains = {}
    desk.handle()
    assert desk.event(event_id).state == "quarantined"
    assert "KeyError: 'grid'" in desk.event(event_id).trace


def test_a_store_that_fails_at_the_commit_leaves_the_batch_to_its_lease_and_quarantines_nothing(desk: Desk) -> None:
    ids = desk.report({}, {})
    for _ in range(5):
        with refusing(desk.here.store, "work_orders", full=True):
            handle_batch(desk.here, "grid")
        assert [(row.state, row.tries, row.lease_until > 0) for row in desk.rows(events)] == [("received", 0, True)] * 2
        assert desk.rows(cases) == []
        desk.set(events, events.c.lease_until > 0, lease_until=0)
    desk.handle()
    assert {desk.event(each).state for each in ids} == {"cased"}


def test_a_fresh_event_does_not_wait_for_those_that_are_tried_again(desk: Desk) -> None:
    break_on(desk, "毒")
    desk.report(*[{"title": "毒"}] * 5)
    handle_batch(desk.here, "grid")
    make_due(desk)
    fresh = desk.report({})[0]
    assert handle_batch(desk.here, "grid") == 1
    assert desk.event(fresh).state == "cased"


def test_dispatch_is_rung_after_the_commit_and_only_when_there_is_something_to_send(desk: Desk) -> None:
    waiting: list[int] = []

    class Looking(Bells):
        def ring(self, *names: str) -> None:
            if "dispatch" in names:
                waiting.append(len(desk.rows(deliveries, deliveries.c.status == "pending")))

    desk.here.ringer = cast(Ringer, Looking())
    desk.open()
    assert waiting == []
    desk.endpoint("a")
    desk.report({}, {})
    desk.handle()
    assert waiting == [3]  # with what was adopted


def test_an_event_that_kills_its_worker_three_times_is_quarantined_and_takes_no_other_along(
    desk: Desk, tmp_path: Path
) -> None:
    folder = tmp_path / "deadly"
    folder.mkdir()
    for name, content in {"domain.toml": MANIFEST, "handler.py": HANDLER, "__init__.py": ""}.items():
        (folder / name).write_text(content, encoding="utf-8")
    desk.here.domains = load_domains({"CITYBRAIN_DOMAINS": str(folder)})
    told = {"CITYBRAIN_DATA": str(tmp_path), "CITYBRAIN_DOMAINS": str(folder)}
    told |= {"CITYBRAIN_DATABASE_URL": desk.here.config.database_url, "CITYBRAIN_REDIS_URL": "redis://127.0.0.1:9"}
    thing = {"domain": "deadly", "description": "某事"}
    deadly, *good = desk.report(thing | {"title": "毒"}, *[thing] * 5)

    def work() -> int:
        argv = [sys.executable, "-c", HANDLE]
        return subprocess.run(argv, env=os.environ | told, check=False, timeout=120, capture_output=True).returncode

    def end_leases() -> None:
        desk.set(events, events.c.lease_until > 0, lease_until=0)

    assert work() == 9  # the batch, and all that were in it
    end_leases()
    assert work() == 9  # a few of them
    end_leases()
    ended = [work() for _ in good]  # each alone, the others while the lease of the dead worker still runs
    assert sorted(ended) == [0, 0, 0, 0, 9]
    assert [desk.event(each).state for each in good] == ["cased"] * 5
    end_leases()
    assert work() == 0
    row = desk.event(deadly)
    assert (row.state, row.trace) == ("quarantined", "its worker died three times while it was being handled")
    assert desk.broken() == []
