"""A deadline as people read it: text, shape and colour together, by the server's clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from citybrain.city import City
from citybrain.clock import to_datetime
from citybrain.console.texts import t, word
from citybrain.deadline import UNITS

SOON = 0.25  # of the limit is left
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Countdown:
    """`level` names the colour: running, soon, overdue, paused, stopped or none. What is `provisional` may move
    when the holidays of its year are published."""

    level: str
    shape: str
    text: str
    due_at: str | None = None
    on_working_time: bool = False
    provisional: bool = False


def countdown(
    deadline: Mapping[str, Any] | None, city: City, now: int, stage: Mapping[str, Any] | None = None
) -> Countdown:
    """`deadline` and `stage` are the API's; `now` in ms. Before a handling clock runs, the centre's own one tells."""
    if deadline is None:
        return _of_stage(stage, now) if stage else Countdown("none", "", t("countdown.none"))
    state, due_at, working = deadline["state"], deadline["due_at"], deadline["clock"] == "working"
    day = city.calendar.day_seconds if working else DAY
    if state == "paused":
        text = t("countdown.paused", span=clock_face(deadline["left_seconds"] or 0, day))
        return Countdown("paused", "⏸", text, None, working)
    if state == "stopped" or due_at is None:
        return Countdown("stopped", "■", t("countdown.stopped"), due_at, working)
    due, at = datetime.fromisoformat(due_at), to_datetime(now)
    if state == "overdue":
        text = t("countdown.overdue", span=clock_face((at - due).total_seconds()))
        return Countdown("overdue", "▲", text, due_at, working)
    left = city.calendar.remaining(due, at, deadline["clock"])
    limit = deadline["limit"]
    whole = limit["amount"] * (UNITS.get(limit["unit"]) or city.calendar.day_seconds)
    soon = left < SOON * whole
    text = t("countdown.left", span=clock_face(left, day))
    shown = ("soon", "◆") if soon else ("running", "●")
    return Countdown(*shown, text, due_at, working, deadline["provisional"])


def _of_stage(stage: Mapping[str, Any], now: int) -> Countdown:
    name = word("stage_work", stage["name"])
    left = (datetime.fromisoformat(stage["due_at"]) - to_datetime(now)).total_seconds()
    if left < 0:
        text = t("countdown.stage_overdue", stage=name, span=clock_face(-left))
        return Countdown("overdue", "▲", text, stage["due_at"])
    return Countdown("running", "●", t("countdown.stage_left", stage=name, span=clock_face(left)), stage["due_at"])


def clock_face(seconds: float, day: int = DAY) -> str:
    """0:42 as hours and minutes; from a day on 3 d 2 h."""
    whole = int(abs(seconds))
    return span(whole, day) if whole >= day else f"{whole // 3600}:{whole % 3600 // 60:02}"


def span(seconds: float, day: int = DAY) -> str:
    """3 d 2 h, 3 h 20 min, 12 min, < 1 min. On working time a day has fewer seconds: 2 working days 3 h."""
    days, rest = divmod(int(abs(seconds)), day)
    hours, minutes = rest // 3600, rest % 3600 // 60
    if days:
        name = "days" if day == DAY else "working_days"
        return _together(t(f"span.{name}", n=days), t("span.hours", n=hours) if hours else "")
    if hours:
        return _together(t("span.hours", n=hours), t("span.minutes", n=minutes) if minutes else "")
    return t("span.minutes", n=minutes) if minutes else t("span.moment")


def _together(larger: str, smaller: str) -> str:
    return larger + t("span.between") + smaller if smaller else larger
