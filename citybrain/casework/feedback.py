"""Feedback 处置反馈: what a department answers to a work order, and where that moves the case. Each answer is kept;
one that comes late or out of order is recorded and moves nothing backward."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import Connection, insert, select

from citybrain.casework import handling_clock
from citybrain.casework.amendment import Amendment, load
from citybrain.casework.attachments import cases_of, check_named
from citybrain.casework.case import ANSWERS, ENDED, OrderStatus, Status, status_after_feedback
from citybrain.casework.effects import bounced
from citybrain.casework.writing import write
from citybrain.city import City
from citybrain.clock import to_ms
from citybrain.problem import FieldError, Problem, invalid
from citybrain.store.tables import feedbacks
from citybrain.words import Words

Code = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64)]


class Feedback(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    feedback_id: Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=128)]
    status: Literal["accepted", "returned", "progress", "completed"]
    reason: Words | None = None
    responsible: Words | None = Field(None, description="who the returning department thinks is responsible")
    at: AwareDatetime | None = None
    note: Words | None = None
    attachments: Annotated[list[Code], Field(max_length=20, description="ids of photos")] = []


def parse_feedback(raw: Any) -> Feedback:
    try:
        feedback = Feedback.model_validate(raw)
    except ValidationError as error:
        errors = [
            FieldError(".".join(map(str, item["loc"])), item["msg"], "see the contract's feedback body")
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Problem(422, f"feedback: {errors[0].field}: {errors[0].message}", errors=errors) from None
    missing = [name for name in ("reason", "responsible") if not getattr(feedback, name)]
    if feedback.status == "returned" and missing:
        remedy = "say why it is returned and who is thought responsible"
        errors = [FieldError(name, "a return requires it", remedy) for name in missing]
        raise Problem(422, "a return needs a reason and who is thought responsible", errors=errors)
    return feedback


def take(tx: Connection, order_id: str, case_id: str, feedback: Feedback, actor: str, city: City, at: int) -> int:
    """Records it once and moves the order and the case if it may. Returns how many deliveries are due."""
    amendment = load(tx, case_id, actor, at)
    same = (feedbacks.c.work_order_id == order_id) & (feedbacks.c.feedback_id == feedback.feedback_id)
    if tx.execute(select(feedbacks.c.feedback_id).where(same)).first():
        return 0
    check_named(feedback.attachments, case_id, cases_of(tx, feedback.attachments))
    order = amendment.orders[order_id]
    effect = _may_move(amendment, order, feedback.status)
    if effect:
        _check_answer(amendment, order, feedback, city)
    tx.execute(
        insert(feedbacks).values(
            work_order_id=order_id,
            feedback_id=feedback.feedback_id,
            status=feedback.status,
            reason=feedback.reason,
            responsible=feedback.responsible,
            note=feedback.note,
            at=to_ms(feedback.at) if feedback.at else None,
            received_at=at,
            actor=actor,
            effect=effect,
            attachments=feedback.attachments or None,
        )
    )
    told = feedback.model_dump(exclude={"at"}, exclude_defaults=True)
    whose = {"work_order": order_id, "role": order["role"], "department": order["department"]}
    amendment.note("feedback", **whose, effect=effect, **told)
    if effect and feedback.status != "progress":
        _move(amendment, order, feedback, city)
    return write(tx, [amendment], city)


def _may_move(amendment: Amendment, order: dict[str, Any], status: str) -> bool:
    """Forward only, by the table of answers; nothing after the end."""
    return order["status"] in ANSWERS[status].sources and amendment.case["status"] not in ENDED


def _check_answer(amendment: Amendment, order: dict[str, Any], feedback: Feedback, city: City) -> None:
    """What the city's practice does not take: refused, so that nobody believes it done."""
    if feedback.status == "returned" and order["role"] == "lead" and amendment.case["appointed"]:
        detail = "this department was appointed 指定主办: it cannot return the case; ask the centre to reassign it"
        raise Problem(409, detail, legal=[answer for answer in ANSWERS if answer != "returned"])
    if feedback.status == "completed" and "completed" in city.practice.photos and not feedback.attachments:
        raise invalid("attachments", "a report of completion needs a photo here", "add the id of an attachment")


def _move(amendment: Amendment, order: dict[str, Any], feedback: Feedback, city: City) -> None:
    status = OrderStatus(feedback.status)
    values: dict[str, Any] = {"status": status}
    if status != OrderStatus.ACCEPTED and order["left_seconds"] is not None:
        handling_clock.restart(amendment, order, city)  # it ends while suspended: in time, if there was time left
    if status == OrderStatus.COMPLETED:
        values["completed_at"] = amendment.at
    if status == OrderStatus.RETURNED:
        values |= {"reason": feedback.reason, "responsible": feedback.responsible}
    amendment.change_order(order, **values)
    case = amendment.case
    orders = [(each["role"], each["status"]) for each in amendment.orders.values()]
    suspended = case["status"] == Status.SUSPENDED
    after = status_after_feedback(case["suspended_from"] if suspended else case["status"], orders)
    if after is None:
        return
    if suspended and after == Status.ACCEPTED:
        case["suspended_from"] = after  # it comes back accepted; until then it stays suspended
        return
    if suspended:
        handling_clock.resume(amendment, city)
    case["status"] = after
    if after == Status.RETURNED:
        bounced(amendment, city)
    if after == Status.COMPLETED:
        amendment.note("completed")
