"""Draws the tables of steps into docs/casework.md: `python -m citybrain.casework.drawing` writes it anew, and a test
says when that was forgotten."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from citybrain.casework.case import ANSWERS, CALLED_OFF, OPEN, STEPS, OrderStatus, OrderStep, Status, Step
from citybrain.casework.hindrance import RULES
from citybrain.practice import THRESHOLDS, Practice

PAGE = Path(__file__).parents[2] / "docs" / "casework.md"
RESUMED = (Status.FILED, Status.DISPATCHED, Status.ACCEPTED)
# What no person does: how feedback moves a case.
BY_FEEDBACK = (
    (Status.DISPATCHED, Status.ACCEPTED, "all leads accepted"),
    (Status.DISPATCHED, Status.RETURNED, "the lead returned"),
    (Status.ACCEPTED, Status.RETURNED, "the lead returned"),
    (Status.DISPATCHED, Status.COMPLETED, "all completed"),
    (Status.ACCEPTED, Status.COMPLETED, "all completed"),
)


def drawn(text: str) -> str:
    """The page with everything between its marks drawn anew."""
    for name, lines in _parts().items():
        begin, end = f"<!-- {name}: drawn from the code -->", f"<!-- /{name} -->"
        before, after = text.split(begin)[0], text.split(end)[1]
        text = before + "\n".join([begin, *lines, end]) + after
    return text


def _parts() -> dict[str, Iterator[str]]:
    cases, orders = (
        {"case": case_diagram(), "steps": case_table()},
        {"orders": order_diagram(), "answers": order_table()},
    )
    return cases | orders | {"thresholds": threshold_table(), "duties": duty_table()}


def case_diagram() -> Iterator[str]:
    yield from ("```mermaid", "stateDiagram-v2", "  [*] --> triage: no rule decided", "  [*] --> dispatched: a rule")
    for action, step in STEPS.items():
        if step.target is None or step.sources >= OPEN:
            continue
        yield from (f"  {each} --> {step.target}: {action}" for each in _ordered(step.sources))
    yield from (f"  suspended --> {status}: resume" for status in RESUMED)
    yield from (f"  {before} --> {after}: {why}" for before, after, why in BY_FEEDBACK)
    yield from ("  closed --> [*]", "  void --> [*]", "```")


def case_table() -> Iterator[str]:
    yield "| action | from | to | requires | not while | handling clock | roles | duties |"
    yield "|---|---|---|---|---|---|---|---|"
    for action, step in STEPS.items():
        froms = "any open" if step.sources == OPEN else ", ".join(_ordered(step.sources))
        against = RULES[action].told if action in RULES else "–"
        requires, roles = ", ".join(step.requires) or "–", ", ".join(sorted(step.by))
        cells = [_target(action, step), requires, against, step.clock, roles]
        yield f"| {action} | {froms} | {' | '.join(cells)} | {', '.join(Practice().who_may(action)) or '–'} |"


def order_diagram() -> Iterator[str]:
    yield from ("```mermaid", "stateDiagram-v2", "  [*] --> sent")
    for answer, step in (*ANSWERS.items(), ("called off", CALLED_OFF)):
        if step.target:
            yield from (f"  {each} --> {step.target}: {answer}" for each in OrderStatus if each in step.sources)
    yield "```"


def order_table() -> Iterator[str]:
    yield "| answer | from | to | requires | by |"
    yield "|---|---|---|---|---|"
    yield from (_order_row(answer, step) for answer, step in (*ANSWERS.items(), ("called off", CALLED_OFF)))


def _order_row(answer: str, step: OrderStep) -> str:
    froms = ", ".join(each for each in OrderStatus if each in step.sources)
    return f"| {answer} | {froms} | {step.target or 'same'} | {', '.join(step.requires) or '–'} | {step.by} |"


def threshold_table() -> Iterator[str]:
    yield "| level | code | name | when |"
    yield "|---|---|---|---|"
    for level, each in enumerate(THRESHOLDS, start=1):
        when = f"{each.left:.0%} of the limit is left" if each.left else "the due time has come"
        if each.past is not None:
            when = "the due time has passed" + (f" by more than {each.past:.0%} of the limit" if each.past else "")
        yield f"| {level} | {each.code} | {each.name} | {when} |"


def duty_table() -> Iterator[str]:
    yield from ("| duty | may |", "|---|---|")
    yield from (f"| {duty} | {', '.join(actions)} |" for duty, actions in Practice().duties.items())


def _target(action: str, step: Step) -> str:
    return "as before" if action == "resume" else step.target or "same"


def _ordered(sources: Iterable[Status]) -> list[str]:
    return [status for status in Status if status in set(sources)]


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
