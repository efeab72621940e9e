"""What Open311 asks of the record, on both stores: what there is of a time, a service and a status, and what was sent
already."""

from desk import Desk
from postgres import both_stores

from citybrain.store.tables import events
from domains.grid.routes import chosen_of, id_of, lasting, requests_of

pytestmark = both_stores
HOLE = {"type": "m06001", "title": "河边私搭乱建"}


def test_requests_are_found_by_time_service_and_status(desk: Desk) -> None:
    case = desk.open(**HOLE)
    (untouched,) = desk.report(HOLE)
    desk.report({"domain": "fire"})  # nothing that the public reports here
    everything = lasting(None, None, desk.now)
    assert len(requests_of(desk.key, desk.here, everything)) == 2
    assert [row.id for row in requests_of(desk.key, desk.here, [events.c.id.in_([untouched, "none"])])] == [untouched]
    assert len(requests_of(desk.key, desk.here, everything, chosen_of(["m06001,m01001"], ["open,closed"]))) == 2
    assert requests_of(desk.key, desk.here, everything, chosen_of(["m01001"], None)) == []
    desk.act(case.id, "return", reason="不属实")
    desk.act(case.id, "void", reason="不属实")
    assert [row.case_status for row in requests_of(desk.key, desk.here, everything, chosen_of(None, ["closed"]))] == [
        "void"
    ]
    assert [row.id for row in requests_of(desk.key, desk.here, everything, chosen_of(None, ["open"]))] == [untouched]
    desk.pass_time(days=91)
    assert requests_of(desk.key, desk.here, lasting(None, None, desk.now)) == []


def test_a_form_that_comes_again_in_the_next_window_is_known_and_later_is_another(desk: Desk) -> None:
    said = {"service_code": ["m06001"], "description": ["河边私搭乱建"]}
    under = id_of(said, "secret", desk.key, desk.here, desk.now)
    desk.report({"source_event_id": under})
    desk.pass_time(minutes=10)
    assert id_of(said, "secret", desk.key, desk.here, desk.now) == under
    desk.pass_time(minutes=20)
    assert id_of(said, "secret", desk.key, desk.here, desk.now) != under
