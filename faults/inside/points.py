"""The named points at which a process can be made to die or to freeze: before or after a function of the product."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Point:
    """`function` is looked up in `module`, where it is used; `part` is the command whose processes have the point."""

    module: str
    function: str
    when: Literal["before", "after"]
    part: Literal["serve", "work", "patrol"]
    what: str


POINTS = {
    "intake-before-commit": Point(
        "citybrain.intake.filing", "record_changes", "after", "serve",
        "everything of a batch of reports is written, nothing is committed",
    ),
    "intake-before-ring": Point(
        "citybrain.queue", "Ringer.ring", "before", "serve", "reports are committed, nobody is told and nobody answered"
    ),
    "intake-before-answer": Point(
        "citybrain.intake.committer", "_answer", "before", "serve", "committed and rung, the sender is not answered"
    ),
    "after-answer": Point(
        "uvicorn.protocols.http.httptools_impl", "RequestResponseCycle.run_asgi", "after", "serve",
        "somebody has just been answered",
    ),
    "feedback-before-commit": Point(
        "citybrain.casework.feedback", "write", "after", "serve", "a department's answer is written, not committed"
    ),
    "after-claim": Point(
        "workers.handle", "_decide_and_commit", "before", "work", "events are claimed, nothing is decided"
    ),
    "effect-before-commit": Point(
        "workers.handle", "open_cases", "after", "work", "cases, orders, messages are written, nothing is committed"
    ),
    "after-handling-commit": Point(
        "workers.deliver", "PostRoom.send", "before", "work", "cases are committed, their messages are not sent"
    ),
    "before-sending": Point(
        "citybrain.dispatch.sender", "Sender.send", "before", "work", "a message is claimed, nothing is sent"
    ),
    "after-200": Point(
        "citybrain.dispatch.sender", "Sender.send", "after", "work", "the receiver has said yes, nothing is recorded"
    ),
    "record-before-commit": Point(
        "workers.deliver", "settle", "after", "work", "the attempt is written, not committed"
    ),
    "patrol-before-commit": Point(
        "workers.patrol", "number_committed", "after", "patrol", "the stream is numbered, not committed"
    ),
}  # fmt: skip
