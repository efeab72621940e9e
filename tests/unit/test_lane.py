"""An endpoint's lane in a worker, and whose turn it is among all lanes: by order and number, never by time."""

from collections import Counter

from sqlalchemy import Row

from citybrain.dispatch.lane import AHEAD_SECONDS, DEEPEST, FOR_THE_GRAVE, START, WIDEST, Lane
from citybrain.dispatch.sender import Outcome
from citybrain.dispatch.turns import Turns, lane_of

A, B = "a" * 32, "b" * 32


def outcome(status: int | None = 204, seconds: float = 0.01) -> Outcome:
    kind = "delivered" if status == 204 else "retry"
    return Outcome(kind, status, None, None, 1000 * seconds)


def used(lane: Lane, number: int, ends: Outcome) -> Lane:
    """After so many attempts one after another, while more waits."""
    for _ in range(number):
        lane.add(4, "one")
        lane.add(4, "more")
        assert lane.next()
        lane.ended(ends)
    return lane


def due(*lanes: str) -> list[Row[str, int]]:
    return [(lane, number) for number, lane in enumerate(lanes)]  # type: ignore[misc]


def test_what_is_grave_overtakes_all_that_is_claimed_and_the_rest_keeps_its_order() -> None:
    lane = Lane(window=99)
    for number, grade in enumerate((4, 3, 4, 2, 1, 2, 3)):
        lane.add(grade, number)
    assert [lane.next() for _ in range(7)] == [4, 3, 5, 0, 1, 2, 6]


def test_a_new_endpoint_gets_a_few_and_more_with_every_success_up_to_a_limit() -> None:
    lane = Lane()
    for _ in range(100):
        lane.add(4, "m")
    assert len([1 for _ in range(100) if lane.next()]) == START
    assert used(Lane(), 3, outcome()).window == START + 3
    assert used(Lane(), 500, outcome()).window == WIDEST


def test_whoever_is_silent_or_overloaded_gets_half_of_it_and_one_at_least() -> None:
    for status in (None, 429, 502, 503, 504):
        assert used(used(Lane(), 100, outcome()), 1, outcome(status)).window == WIDEST / 2
    assert used(Lane(), 9, outcome(None, 15)).window == 1


def test_a_message_that_the_receiver_cannot_digest_narrows_nothing() -> None:
    for status in (400, 404, 500):
        assert used(used(Lane(), 100, outcome()), 9, outcome(status)).window == WIDEST


def test_after_an_overload_it_grows_slowly_again() -> None:
    lane = used(used(Lane(), 100, outcome()), 1, outcome(429))
    used(lane, 8, outcome())
    assert WIDEST / 2 < lane.window < WIDEST / 2 + 1


def test_as_much_is_claimed_ahead_as_goes_out_in_two_seconds() -> None:
    assert used(Lane(), 100, outcome(seconds=0.001)).room() == DEEPEST
    slow = used(Lane(), 100, outcome(seconds=0.25))
    assert abs(slow.room() - WIDEST * AHEAD_SECONDS / 0.25) <= 1
    assert used(Lane(), 100, outcome(seconds=10)).room() == WIDEST
    assert slow.room(grave=True) == slow.room() + FOR_THE_GRAVE


def test_what_waits_behind_a_silent_endpoint_is_handed_back() -> None:
    lane = Lane()
    for number in range(6):
        lane.add(4, number)
    sent = [lane.next() for _ in range(START)]
    assert (sent, lane.clear(), lane.next()) == ([0, 1, 2, 3], [4, 5], None)


def test_a_county_that_floods_an_endpoint_leaves_every_other_its_share() -> None:
    """Ten thousand of one county are older than the one of another."""
    flood, other = lane_of(A, 4, "grid", "441402"), lane_of(A, 4, "grid", "441403")
    assert Turns().choose(due(flood, other), lambda _: 100, 1_000) == {flood: 50, other: 50}


def test_where_only_one_may_go_the_lanes_take_turns() -> None:
    lanes = [lane_of(A, 4, domain, county) for domain in ("fire", "grid") for county in ("1", "2")]
    turns = Turns()
    order = [next(iter(turns.choose(due(*lanes), lambda _: 1, 1_000))) for _ in range(8)]
    assert order == [*lanes, *lanes]


def test_the_gravest_lane_has_the_first_turn() -> None:
    second, first = lane_of(A, 2, "grid", "1"), lane_of(A, 1, "fire", "1")
    assert list(Turns().choose(due(second, first), lambda _: 1, 1_000)) == [first]


def test_an_endpoint_with_many_lanes_gets_no_more_than_one_with_one() -> None:
    many = [lane_of(A, 4, "grid", str(number)) for number in range(20)]
    one = lane_of(B, 4, "grid", "1")
    takes = Turns().choose(due(*many, one), lambda _: 1_000, 100)
    by_endpoint = Counter({A: sum(takes[lane] for lane in many), B: takes[one]})
    assert by_endpoint[A] <= by_endpoint[B]
