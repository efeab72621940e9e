"""A deadline as people read it: text, shape and colour together, by the server's clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from citybrain.city import City
from citybrain.clock import to_datetime
from citybrain.console.texts import word
from citybrain.deadline import UNITS

SOON = 0.25  # of the limit is left
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Countdown:
    """`level` names the colour: running, soon, overdue, paused, stopped or none."""

    level: str
    shape: str
    text: str
    due_at: str | None = None
    on_working_time: bool = False


NONE = Countdown("none", "", "无时限")


def countdown(
    deadline: Mapping[str, Any] | None, city: City, now: int, stage: Mapping[str, Any] | None = None
) -> Countdown:
    """`deadline` and `stage` are the API's; `now` in ms. Before a handling clock runs, the centre's own one tells."""
    if deadline is None:
        return _of_stage(stage, now) if stage else NONE
    state, due_at, working = deadline["state"], deadline["due_at"], deadline["clock"] == "working"
    day = city.calendar.day_seconds if working else DAY
    if state == "paused":
        return Countdown("paused", "⏸", f"挂账，剩 {clock_face(deadline['left_seconds'] or 0, day)}", None, working)
    if state == "stopped" or due_at is None:
        return Countdown("stopped", "■", "计时已停", due_at, working)
    due, at = datetime.fromisoformat(due_at), to_datetime(now)
    if state == "overdue":
        return Countdown("overdue", "▲", f"超时 {clock_face((at - due).total_seconds())}", due_at, working)
    left = city.calendar.remaining(due, at, deadline["clock"])
    limit = deadline["limit"]
    whole = limit["amount"] * (UNITS.get(limit["unit"]) or city.calendar.day_seconds)
    soon = left < SOON * whole
    return Countdown(
        "soon" if soon else "running", "◆" if soon else "●", f"剩 {clock_face(left, day)}", due_at, working
    )


def _of_stage(stage: Mapping[str, Any], now: int) -> Countdown:
    name = word("stage_work", stage["name"])
    left = (datetime.fromisoformat(stage["due_at"]) - to_datetime(now)).total_seconds()
    if left < 0:
        return Countdown("overdue", "▲", f"{name}超时 {clock_face(-left)}", stage["due_at"])
    return Countdown("running", "●", f"{name}剩 {clock_face(left)}", stage["due_at"])


def clock_face(seconds: float, day: int = DAY) -> str:
    """0:42 as hours and minutes; from a day on 3天2小时."""
    whole = int(abs(seconds))
    return span(whole, day) if whole >= day else f"{whole // 3600}:{whole % 3600 // 60:02}"


def span(seconds: float, day: int = DAY) -> str:
    """3天2小时, 3小时20分, 12分, 不到1分钟. On working time a day has fewer seconds: 2工作日3小时."""
    days, rest = divmod(int(abs(seconds)), day)
    hours, minutes = rest // 3600, rest % 3600 // 60
    if days:
        name = "天" if day == DAY else "工作日"
        return f"{days}{name}{hours}小时" if hours else f"{days}{name}"
    if hours:
        return f"{hours}小时{minutes}分" if minutes else f"{hours}小时"
    return f"{minutes}分" if minutes else "不到1分钟"
