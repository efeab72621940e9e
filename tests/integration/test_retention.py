"""What the city's rules of retention erase goes, when its time has come and its case has ended; all else stays."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from desk import ADMIN, Desk
from photos import picture
from postgres import both_stores
from posting import FAILED, OK, claim, end, in_the_present
from sqlalchemy import insert
from steps import BODIES

from citybrain.casework import attachments as photos
from citybrain.cityfile import RetentionTable, check_file, read_toml
from citybrain.config import BUILTIN_CITY
from citybrain.dispatch.again import Replay, replay
from citybrain.intake.photo import read_photo
from citybrain.keys import open_session
from citybrain.operations import retention
from citybrain.store.attachment_tables import attachments, blobs
from citybrain.store.dispatch_tables import attempts, deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events, keys, reporters, sessions, work_orders

pytestmark = both_stores
ALL = RetentionTable(reporters_days=30, photos_days=30, messages_days=30, failed_attempts_days=30)
EVER = datetime(2000, 1, 1, tzinfo=UTC)
REPORTER = {"name": "陈小明", "phone": "13800001234"}


def rule(desk: Desk, rules: RetentionTable) -> None:
    file = desk.here.city.file.model_copy(update={"retention": rules})
    desk.here.city = replace(desk.here.city, file=file)


def apply(desk: Desk) -> None:
    retention.apply(desk.here.store, desk.here.city, desk.now)


def attach(desk: Desk, event_id: str, width: int) -> None:
    photo = read_photo(picture(size=(width, 480)))
    with desk.here.store.write() as tx:
        photos.attach(tx, desk.event(event_id), "event_id", "before", photo, "app", desk.here.city, desk.now)


def story(desk: Desk) -> tuple[str, str]:
    """A case that was closed and one in work, each with a reporter, a photo, a failed and a successful attempt."""
    in_the_present(desk)
    desk.endpoint("platform")
    first, second = desk.report({"reporter": REPORTER}, {"reporter": REPORTER})
    attach(desk, first, 640)
    attach(desk, second, 320)
    desk.handle()
    end(desk, claim(desk), FAILED)
    desk.set(deliveries, deliveries.c.status == "pending", due_at=desk.now)
    end(desk, claim(desk), OK)
    case = desk.case(desk.event(first).case_id)
    desk.answer(desk.lead(case.id).id, "completed")
    desk.act(case.id, "verify", **BODIES["verify"])
    desk.act(case.id, "close")
    return first, second


def left(desk: Desk) -> dict[str, Any]:
    kept = [row for row in desk.rows(deliveries) if row.status == "delivered"]
    return {
        "reporters": [row.event_id for row in desk.rows(reporters)],
        "bodies": sum(bool(row.body) for row in kept),
        "photos": sum(bool(row.content) for row in desk.rows(blobs)),
        "failed": sum(row.status != 204 for row in desk.rows(attempts)),
        "answered": sum(row.status == 204 for row in desk.rows(attempts)),
    }


def test_what_ended_long_ago_is_erased_and_what_is_in_work_stays(desk: Desk) -> None:
    _, second = story(desk)
    rule(desk, ALL)
    before = left(desk)
    assert (before["photos"], before["failed"], before["bodies"]) == (2, 2, 2)
    desk.pass_time(days=29)
    apply(desk)
    assert left(desk) == before
    desk.pass_time(days=2)
    apply(desk)
    assert left(desk) == {"reporters": [second], "bodies": 1, "photos": 1, "failed": 1, "answered": 2}
    assert len(desk.rows(events)) == len(desk.rows(cases)) == len(desk.rows(attachments)) == 2
    told = {row["what"]: row["number"] for row in desk.entries("city", "retention.erased")}
    assert told == {"reporters": 1, "photos": 1, "messages": 1, "failed_attempts": 1}
    assert REPORTER["name"] not in str(desk.rows(ledger))
    assert desk.broken() == []
    entries = len(desk.rows(ledger))
    apply(desk)
    assert len(desk.rows(ledger)) == entries, "what found nothing tells nothing"


def test_a_photo_that_came_from_a_case_merged_away_stays_with_the_one_in_work(desk: Desk) -> None:
    """That case ended long ago; the photo goes with the other."""
    away, case = desk.open(), desk.open()
    desk.photo(away.id)
    desk.act(away.id, "merge", into=case.id)
    rule(desk, ALL)
    desk.pass_time(days=40)
    desk.act(case.id, "note", text="仍在处置")
    apply(desk)
    assert left(desk)["photos"] == 1
    desk.answer(desk.lead(case.id).id, "completed")
    desk.act(case.id, "verify", **BODIES["verify"])
    desk.act(case.id, "close")
    desk.pass_time(days=31)
    apply(desk)
    assert left(desk)["photos"] == 0


def test_a_case_that_is_closed_later_is_not_forgotten(desk: Desk) -> None:
    _, second = story(desk)
    rule(desk, ALL)
    desk.pass_time(days=40)
    apply(desk)
    case = desk.case(desk.event(second).case_id)
    desk.answer(desk.lead(case.id).id, "completed")
    desk.act(case.id, "verify", **BODIES["verify"])
    desk.act(case.id, "close")
    apply(desk)
    assert left(desk)["reporters"] == [second]
    desk.pass_time(days=31)
    apply(desk)
    assert left(desk)["reporters"] == []
    assert desk.broken() == []


def test_a_photo_that_another_case_needs_stays(desk: Desk) -> None:
    _, second = story(desk)
    attach(desk, second, 640)
    rule(desk, ALL)
    desk.pass_time(days=40)
    apply(desk)
    assert left(desk)["photos"] == 2


def test_erased_bodies_are_not_replayed_and_an_erased_photo_may_come_again(desk: Desk) -> None:
    _, second = story(desk)
    rule(desk, ALL)
    desk.pass_time(days=40)
    apply(desk)
    endpoint = next(row.endpoint_id for row in desk.rows(deliveries))
    with desk.here.store.write() as tx:
        assert replay(tx, endpoint, Replay(since=EVER), "liu", desk.now) == 1, "of two that were delivered"
    assert left(desk)["photos"] == 1
    attach(desk, second, 640)
    assert left(desk)["photos"] == 2


def test_steps_are_small_and_go_on_where_they_were(desk: Desk) -> None:
    desk.report(*[{"reporter": REPORTER, "description": "嗯"} for _ in range(9)])
    desk.handle()
    for case in desk.rows(cases):
        desk.act(case.id, "void", reason="重复上报")
    rule(desk, RetentionTable(reporters_days=1))
    desk.pass_time(days=2)
    remaining = []
    while rows := desk.rows(reporters):
        remaining.append(len(rows))
        retention.apply(desk.here.store, desk.here.city, desk.now, steps=2, at_once=2)
    assert remaining == [9, 5, 1]


def test_without_rules_only_sessions_that_have_ended_go(desk: Desk) -> None:
    story(desk)
    with desk.here.store.write() as tx:
        row = {"name": "liu", "prefix": "p", "hash": b"h", "role": "admin", "demo": False, "created_at": 1}
        tx.execute(insert(keys).values(**row, domains=[], divisions=[], departments=[], duties=[]))
        open_session(tx, ADMIN, desk.now)
    before = left(desk)
    apply(desk)
    assert len(desk.rows(sessions)) == 1
    desk.pass_time(days=3_650)
    apply(desk)
    assert desk.rows(sessions) == []
    assert left(desk) == before
    assert len(desk.rows(work_orders)) == 2


def test_wrong_rules_are_told() -> None:
    raw, _ = read_toml(BUILTIN_CITY / "city.toml")
    _, mistakes = check_file(raw | {"retention": {"reporters_days": 0, "ledger_days": 3}})
    assert sorted(mistake.item for mistake in mistakes) == ["retention.ledger_days", "retention.reporters_days"]
