"""Makes an event of a CAP alert: one alert is one event, and an update or cancellation belongs to the thread of the
first alert that it goes back to. Before it `cap` has read the XML; after it intake files the event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from shapely import to_geojson

from citybrain.city import City
from citybrain.intake.foreign_id import foreign_id
from citybrain.problem import Problem, invalid
from domains.emergency.cap import Alert, Info
from domains.emergency.handler import COLOURS, word
from geo.alert_area import alert_area
from geo.geometry import GeometryError

Settings = Mapping[str, Any]
DOMAIN, THREAD = "emergency", "cap_thread"
TITLE, ADDRESS, DESCRIPTION = 200, 500, 10_000  # letters, as a report's own
ANSWERS = ("Ack", "Error")


@dataclass(frozen=True, slots=True)
class Earlier:
    """The newest alert on record that this one refers to: its thread, its case's type where reports of the type join by
    thread, and where it was said to be."""

    thread: str
    type: str | None
    title: str
    location: dict[str, Any]


def thread_of(alert: Alert) -> str:
    """Of the first alert that is named: its own where it refers to none."""
    first = min(alert.references, key=lambda each: each.sent, default=alert)
    return foreign_id(first.sender, first.identifier)


def event_of(alert: Alert, earlier: Earlier | None, settings: Settings, city: City) -> dict[str, Any]:
    """The event's JSON; raises Problem for what is no report of anything."""
    if alert.msg_type in ANSWERS:
        remedy = "send Alert, Update or Cancel"
        raise invalid("msgType", f"{alert.msg_type} answers an alert, and this service sends none", remedy)
    info = _first(alert.info, settings)
    if info is None and alert.msg_type != "Cancel":
        raise invalid("info", "an alert without info says nothing", "send one info at least")
    cancelled = alert.msg_type == "Cancel"
    title = (info.headline or info.event) if info else earlier.title if earlier else alert.note or ""
    event: dict[str, Any] = {
        "source_event_id": foreign_id(alert.sender, alert.identifier),
        "domain": DOMAIN,
        "title": (f"解除：{title}" if cancelled else title)[:TITLE],
        "description": _description(info, alert)[:DESCRIPTION],
        "occurred_at": alert.sent.isoformat(),
        "location": _location(alert, city) or (earlier.location if earlier else {"address": city.file.city.name}),
        "attributes": _attributes(alert, info, earlier, settings),
    }
    return event | ({"type": earlier.type} if cancelled and earlier and earlier.type else {})


def _first(infos: Sequence[Info], settings: Settings) -> Info | None:
    """In the language that is preferred here; the others say the same to others."""
    preferred = [str(each).lower() for each in settings.get("cap_languages", ())]

    def rank(info: Info) -> int:
        language = info.language.lower().partition("-")[0]
        return preferred.index(language) if language in preferred else len(preferred)

    return min(infos, key=rank, default=None)


def _description(info: Info | None, alert: Alert) -> str:
    said = (info.description, info.instruction) if info else (alert.note,)
    return "\n".join(text for text in said if text)


def _location(alert: Alert, city: City) -> dict[str, Any]:
    """Polygons and circles of all areas together, in WGS-84 as the standard says; else the division that their codes
    name, if it is one; else their names, which people or the address index may know."""
    areas = [area for info in alert.info for area in info.area]
    polygons = dict.fromkeys(text for area in areas for text in area.polygon)
    circles = dict.fromkeys(text for area in areas for text in area.circle)
    names = ", ".join(dict.fromkeys(area.area_desc for area in areas))[:ADDRESS]
    found: dict[str, Any] = {"address": names} if names else {}
    if polygons or circles:
        try:
            shape = alert_area(list(polygons), list(circles))
        except GeometryError as error:
            raise invalid("area", error.reason, error.remedy) from None
        return found | {"geometry": orjson.loads(to_geojson(shape)), "datum": "wgs84"}
    codes = {_division(each.value, city) for area in areas for each in area.geocode} - {None}
    return found | ({"division_code": codes.pop()} if len(codes) == 1 else {})


def _division(code: str, city: City) -> str | None:
    """Of a statistical code too, which has zeros behind: 441402000000 is 441402."""
    code = code.strip()
    while not _is_known(code, city) and code.endswith("000"):
        code = code[:-3]
    return code if _is_known(code, city) else None


def _is_known(code: str, city: City) -> bool:
    return city.level_of(code) not in (None, "city")


def _attributes(alert: Alert, info: Info | None, earlier: Earlier | None, settings: Settings) -> dict[str, Any]:
    """What the rules ask for by name, and in `cap` what else the alert says of itself."""
    found: dict[str, Any] = {
        "cap_status": alert.status,
        "cap_message": alert.msg_type,
        THREAD: earlier.thread if earlier else thread_of(alert),
        "cap_event": info.event if info else None,
        "warning_colour": _colour(info, settings) if info else None,
        "incident_grade": _parameter(info, settings, "cap_grade_parameters") if info else None,
        "cap": {
            "identifier": alert.identifier,
            "sender": alert.sender,
            "signed": alert.signed,
            "references": [f"{each.sender},{each.identifier},{each.sent.isoformat()}" for each in alert.references],
            "info": [_told(each) for each in alert.info],
        },
    }
    return {name: value for name, value in found.items() if value is not None}


_TOLD = {
    "language", "category", "event", "response_type", "urgency", "severity", "certainty", "event_code", "effective",
    "onset", "expires", "sender_name", "headline", "web", "contact", "parameter",
}  # fmt: skip


def _told(info: Info) -> dict[str, Any]:
    return info.model_dump(mode="json", by_alias=True, exclude_none=True, include=_TOLD)


def _colour(info: Info, settings: Settings) -> str | None:
    """A parameter that says it, else the severity where a sender writes a colour there."""
    stated = _parameter(info, settings, "cap_colour_parameters")
    return stated or (info.severity if word(info.severity) in COLOURS else None)


def _parameter(info: Info, settings: Settings, names: str) -> str | None:
    wanted = {word(each) for each in settings.get(names, ())}
    return next((each.value for each in info.parameter if word(each.value_name) in wanted and each.value), None)


def refused(message: str, offset: int, line: int) -> Problem:
    problem = invalid("body", message, f"send a CAP 1.2 alert; it is wrong in line {line}")
    problem.extra = {"offset": offset, "line": line}
    return problem
