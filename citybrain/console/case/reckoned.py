"""How a deadline came about, in sentences that a person can check with a calendar on the wall."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, NamedTuple

from citybrain.console.case.why import limit_text
from citybrain.console.rendering import moment
from citybrain.console.texts import listed, section, t, word

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Told = Mapping[str, Any]


class Step(NamedTuple):
    """`days` add up to `total`, where the clock counts working time."""

    head: str
    days: list[str]
    total: str


class Threshold(NamedTuple):
    name: str
    at: str
    raised: str


class Reckoned(NamedTuple):
    rule: str
    steps: list[Step]
    thresholds: list[Threshold]
    notes: list[str]


def of(told: Told | None) -> Reckoned | None:
    """`told` is the API's `reckoning`."""
    if told is None:
        return None
    notes = [] if told["agrees"] else [t("reckoned.differs")]
    if years := told["unpublished_years"]:
        notes.append(t("reckoned.unpublished", years=listed(map(str, years))))
    thresholds = [
        Threshold(
            section("supervised_because").get(each["code"], each["name"]),
            each["at"],
            t("reckoned.raised", at=on(each["raised_at"])) if each["raised_at"] else "",
        )
        for each in told["thresholds"]
    ]
    return Reckoned(_rule(told), [_step(each, told["day_seconds"]) for each in told["steps"]], thresholds, notes)


def on(text: str | None) -> str:
    """11-20 周五 16:30."""
    if not text:
        return ""
    at = datetime.fromisoformat(text)
    return f"{at:%m-%d} {word('weekday', WEEKDAYS[at.weekday()])} {at:%H:%M}"


def duration(seconds: float) -> str:
    """In hours and minutes, as working time is added up: no days, which have no length of their own there."""
    minutes, rest = divmod(round(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "hours"), (minutes, "minutes"), (rest, "seconds")]
    return " ".join(t(f"reckoned.{name}", n=n) for n, name in parts if n) or t("reckoned.minutes", n=0)


def _rule(told: Told) -> str:
    limit = limit_text(told["limit"])
    if told["clock"] == "urgent":
        return t("reckoned.urgent", limit=limit)
    hours = listed(f"{begin}–{end}" for begin, end in told["hours"])
    return t("reckoned.working", limit=limit, hours=hours, day=duration(told["day_seconds"]))


def _step(told: Told, day_seconds: int) -> Step:
    step, at = told["step"], on(told["at"])
    if step == "suspended":
        left = duration(told["left_seconds"] or 0)
        return Step(t("reckoned.suspended", at=at, left=left, until=on(told["until"])), [], "")
    if step == "stopped":
        return Step(_stopped(told, at), [], "")
    if step == "extended":
        dues = {"before": on(told["before"]), "due": on(told["due_at"]), "more": duration(told["seconds"] or 0)}
        return Step(t("reckoned.extended", at=at, reason=told["reason"] or "", **dues), [], "")
    name = told["because"] if step == "started" else "resumed"
    amount = duration(told["seconds"] or 0)
    total = t("reckoned.total", amount=amount, due=on(told["due_at"])) if told["due_at"] else ""
    return Step(t(f"reckoned.{name}", at=at, amount=amount), _days(told, day_seconds), total)


def _stopped(told: Told, at: str) -> str:
    head = t("reckoned.stopped", at=at, what=word("done", told["because"]))
    left = told["left_seconds"]
    if left is None:
        return head
    return head + t("reckoned.early" if left >= 0 else "reckoned.late", amount=duration(left))


def _days(told: Told, day_seconds: int) -> list[str]:
    """Days that follow each other and count alike are told together."""
    lines = []
    whole = (0, day_seconds)
    for (kind, seconds), group in groupby(told["days"], key=lambda day: (day["kind"], day["seconds"])):
        days = list(group)
        if seconds in whole:
            lines.append(_alike(days, kind, seconds))
        else:
            lines += [_day(day) for day in days]
    return [*lines, t("reckoned.more_days", n=told["more_days"])] if told["more_days"] else lines


def _alike(days: Sequence[Told], kind: str, seconds: int) -> str:
    first, last = _date(days[0]["date"]), _date(days[-1]["date"])
    when = first if len(days) == 1 else t("reckoned.range", first=first, last=last)
    name = word("day_kind", kind)
    if not seconds:
        return t("reckoned.after_hours" if kind in ("workday", "makeup") else "reckoned.free", when=when, kind=name)
    if len(days) == 1:
        return _day(days[0])
    together = {"each": duration(seconds), "amount": duration(seconds * len(days))}
    return t("reckoned.alike", when=when, kind=name, n=len(days), **together)


def _day(day: Told) -> str:
    spans = listed(f"{moment(begin)[-5:]}–{moment(end)[-5:]}" for begin, end in day["spans"])
    kind = word("day_kind", day["kind"])
    return t("reckoned.day", when=_date(day["date"]), kind=kind, spans=spans, amount=duration(day["seconds"]))


def _date(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{day:%m-%d} {word('weekday', WEEKDAYS[day.weekday()])}"
