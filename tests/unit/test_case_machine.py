"""Cases that are acted on and answered at random, in a real store: what must hold of them after every single step.
CITYBRAIN_EXAMPLES=100 for more."""

import os
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from desk import Desk
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Row
from wholeness import check_whole

from citybrain.casework.case import ACTIVE_ORDERS, ENDED, STEPS
from citybrain.casework.followup import follow_up
from citybrain.casework.hindrance import Situation, possible_actions
from citybrain.clock import to_datetime
from citybrain.problem import Problem
from citybrain.store.appeal_tables import appeals
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events, feedbacks, work_orders

REPORTS: list[dict[str, Any]] = [
    {},
    {"description": "嗯"},
    {"domain": "fire", "type": "fire.building_fire"},
    {"domain": "fire", "attributes": {"device_id": "d1", "states": ["fire"], "component_type": 40}},
    {"domain": "fire", "attributes": {"device_id": "d1", "states": ["fire"], "component_type": 40}, "grade": 2},
]
DEPARTMENTS = ("441402-cg", "441402-zj", "441402-xf", "441402-ga")
DIVISIONS = ("441402", "441403", "441402004")
SELDOM = {"merge", "void", "split", "note", "supervise"}
AGAINST = ("overdue", "returned", "rework")
IN_BULK = set(STEPS) - {"note", "supervise", "merge", "split"}  # the last two change other cases of the call
AFTER = {"sent": {"accepted", "returned", "completed", "cancelled"}, "accepted": {"returned", "completed", "cancelled"}}
EXAMPLES = int(os.environ.get("CITYBRAIN_EXAMPLES", "12"))
any_of = st.integers(0, 10_000)


class CaseLife(RuleBasedStateMachine):
    def __init__(self, new_desk: Any) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.desk: Desk = new_desk(Path(self.folder.name))
        self.versions: dict[str, int] = {}
        self.order_states: dict[str, str] = {}

    def teardown(self) -> None:
        assert self.desk.broken() == []
        self.desk.here.store.close()
        self.folder.cleanup()

    @initialize()
    def a_fire_is_reported(self) -> None:
        self.desk.open(**REPORTS[2])

    @precondition(lambda self: len(self.versions) < 4)  # few cases that go far, not many that begin
    @rule(report=st.sampled_from(REPORTS))
    def something_is_reported(self, report: dict[str, Any]) -> None:
        self.desk.open(**report)

    @precondition(lambda self: self.versions)
    @rule(which=any_of, action=st.sampled_from(sorted(STEPS)), choice=any_of)
    def somebody_acts(self, which: int, action: str, choice: int) -> None:
        case = self.pick(which)
        legal = action in self.possible(case)
        answer = self.try_to(case, action, **self.body(action, case, choice))
        assert answer in ({200, 409, 422} if legal else {409})
        assert self.desk.case(case.id).version == case.version + (answer == 200)

    @precondition(lambda self: self.versions)
    @rule(which=any_of, choice=any_of)
    def somebody_takes_a_next_step(self, which: int, choice: int) -> None:
        """As operators do: what the page offers, and rarely the end of a case."""
        case = self.pick(which)
        if legal := [action for action in self.possible(case) if action not in SELDOM]:
            self.somebody_acts(which, legal[choice % len(legal)], choice)

    @precondition(lambda self: self.versions)
    @rule(which=any_of)
    def somebody_acts_on_what_is_no_longer_so(self, which: int) -> None:
        case = self.pick(which)
        assert self.try_to(case, "note", version=case.version - 1 or 9, text="嗯") == 409

    @precondition(lambda self: self.order_states)
    @rule(which=any_of, status=st.sampled_from(["accepted", "returned", "progress", "completed"]))
    def a_department_answers(self, which: int, status: str) -> None:
        self.desk.answer(sorted(self.order_states)[which % len(self.order_states)], status)

    @precondition(lambda self: self.order_states)
    @rule(status=st.sampled_from(["accepted", "returned", "completed"]))
    def all_departments_at_work_answer(self, status: str) -> None:
        for order_id, state in sorted(self.order_states.items()):
            if state in ACTIVE_ORDERS:
                self.desk.answer(order_id, status)

    @precondition(lambda self: self.desk.rows(feedbacks))
    @rule(which=any_of)
    def a_department_says_it_again(self, which: int) -> None:
        said = self.desk.rows(feedbacks)
        again, before = said[which % len(said)], self.desk.rows(ledger)
        self.desk.answer(again.work_order_id, again.status, again.feedback_id)
        assert self.desk.rows(ledger) == before

    @precondition(lambda self: self.versions)
    @rule(choice=any_of)
    def somebody_acts_on_all_cases_at_once(self, choice: int) -> None:
        """In one call: each is done or refused as it would be alone."""
        known = self.desk.rows(cases)
        action = sorted(IN_BULK)[choice % len(IN_BULK)]
        items = [{"id": c.id, "version": c.version, "action": action} | self.body(action, c, choice) for c in known]
        for case, result in zip(known, self.desk.act_on_many(*items)["results"], strict=True):
            assert self.desk.case(case.id).version == case.version + (result["outcome"] == "done")
            assert (result["outcome"] == "done") <= (action in self.possible(case))

    @rule(minutes=st.sampled_from([1, 10, 600, 10_000]))
    def time_passes(self, minutes: int) -> None:
        self.desk.pass_time(minutes=minutes)
        here = self.desk.here
        follow_up(here.store, here.city, self.desk.now)
        before = self.desk.rows(ledger)
        follow_up(here.store, here.city, self.desk.now)
        assert self.desk.rows(ledger) == before  # once is enough

    def try_to(self, case: Row[Any], action: str, **body: Any) -> int:
        """The HTTP status of the answer; whatever is refused changes nothing."""
        try:
            self.desk.act(case.id, action, **body)
        except Problem as problem:
            assert self.desk.case(case.id) == case
            return problem.status
        return 200

    def pick(self, which: int) -> Row[Any]:
        """Mostly one that is still open."""
        known = self.desk.rows(cases)
        still = [case for case in known if case.status not in ENDED]
        return known[which % len(known)] if which % 5 == 0 or not still else still[which % len(still)]

    def possible(self, case: Row[Any]) -> list[str]:
        now = Situation(case._asdict(), self.desk.now, self.desk.here.city.practice)
        return [str(each) for each in possible_actions(now)]

    def in_days(self, days: int) -> str:
        return (to_datetime(self.desk.now) + timedelta(days=days)).isoformat()

    def body(self, action: str, case: Row[Any], choice: int) -> dict[str, Any]:
        """What the action requires, the choice among its values made by `choice`."""
        department, other = DEPARTMENTS[choice % 4], DEPARTMENTS[choice // 4 % 4]
        mine = [row.id for row in self.desk.rows(events, events.c.case_id == case.id)]
        known = self.desk.here.domains[case.domain].catalogue.types
        every: dict[str, dict[str, Any]] = {
            "dispatch": {"department": department, "assist": [other], "type": sorted(known)[choice % len(known)]},
            "relocate": {"location": {"division_code": DIVISIONS[choice % 3]}, "reason": "位置有误"},
            "reassign": {"department": department, "reason": "指定主办"},
            "extend": {"until": self.in_days(choice % 4), "reason": "等"},
            "file": {"type": sorted(known)[choice % len(known)]},
            "appeal": {
                "work_order": self.some_order(case, choice),
                "against": AGAINST[choice % 3],
                "reason": "等",
            },
            "judge": {"appeal": self.some_appeal(case), "upheld": choice % 2 > 0, "reason": "属实"},
            "suspend": {"until": self.in_days(choice % 28 + 1), "reason": "等"},
            "ask": {"what": ("extend", "suspend")[choice % 2], "until": self.in_days(choice % 4), "reason": "等"},
            "grant": {"granted": choice % 3 > 0, "reason": "同意" if choice % 5 else None},
            "supervise": {"reason": "催办"},
            "note": {"text": "嗯"},
            "verify": {"passed": choice % 3 > 0, "reason": "没有修好"},
            "merge": {"into": self.pick(choice).number},
            "split": {"events": mine[: choice % 3]},
        }
        return every.get(action, {} if action in ("resume", "close") else {"reason": "有原因"})

    def some_order(self, case: Row[Any], choice: int) -> str:
        mine = self.desk.orders(case.id)
        return mine[choice % len(mine)].id if mine else "none"

    def some_appeal(self, case: Row[Any]) -> str:
        mine = self.desk.rows(appeals, appeals.c.case_id == case.id, appeals.c.outcome.is_(None))
        return mine[0].id if mine else "none"

    @invariant()
    def versions_only_rise(self) -> None:
        now = {case.id: case.version for case in self.desk.rows(cases)}
        assert all(now[case_id] >= version for case_id, version in self.versions.items())
        self.versions = now

    @invariant()
    def orders_only_move_forward(self) -> None:
        now = {order.id: order.status for order in self.desk.rows(work_orders)}
        for order_id, state in self.order_states.items():
            assert now[order_id] in {state} | AFTER.get(state, set())
        self.order_states = now

    @invariant()
    def the_record_is_whole(self) -> None:
        check_whole(self.desk)


def test_whatever_happens_to_cases_their_record_stays_whole(new_desk: Any) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: CaseLife(new_desk),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            report_multiple_bugs=False,
            phases=[Phase.generate],  # a step takes some ms in a real store: shrinking would take minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
