"""Emergency 应急: incident grade Ⅰ-Ⅳ and warning colour 红橙黄蓝 are two fields and never stand in for each other."""

from collections.abc import Sequence
from typing import Any

from citybrain.routing.casualties import casualties
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.report import Filed
from citybrain.routing.route import route

COLOURS = {
    "红": "red", "red": "red", "橙": "orange", "orange": "orange",
    "黄": "yellow", "yellow": "yellow", "蓝": "blue", "blue": "blue", "紅": "red", "黃": "yellow", "藍": "blue",
}  # fmt: skip
GRADES = {
    "1": 1, "i": 1, "ⅰ": 1, "特别重大": 1, "2": 2, "ii": 2, "ⅱ": 2, "重大": 2,
    "3": 3, "iii": 3, "ⅲ": 3, "较大": 3, "4": 4, "iv": 4, "ⅳ": 4, "一般": 4,
}  # fmt: skip
NOT_REAL = {"exercise", "system", "test", "draft"}


def decide(events: Sequence[Filed], context: Context) -> list[Decision]:
    return route(events, context, [facts(event) for event in events])


def facts(event: Filed) -> dict[str, Any]:
    """`incident_level` 1-4, `colour`, and `not_real` for CAP messages of any status but `Actual`."""
    found: dict[str, Any] = dict(casualties(event))
    attributes = event.attributes
    stated = COLOURS.get(word(attributes.get("warning_colour")).removesuffix("色"))
    if colour := stated or _colour_in(event.title):
        found["colour"] = colour
    if level := GRADES.get(word(attributes.get("incident_grade")).removesuffix("级")):
        found["incident_level"] = level
    if word(attributes.get("cap_status")) in NOT_REAL:
        found["not_real"] = True
    return found


def word(value: object) -> str:
    return str(value).strip().casefold() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _colour_in(title: str) -> str | None:
    """The colour of `暴雨红色预警`: only beside the word 预警, a red car is no warning."""
    start = title.find("预警")
    if start < 0:
        return None
    near = title[max(0, start - 6) : start]
    return next((COLOURS[character] for character in reversed(near) if character in COLOURS), None)
