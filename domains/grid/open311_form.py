"""What the form of a GeoReport v2 service request says, as the JSON of an event. Before it the form is read, after it
intake checks the event and files it."""

import hashlib
import hmac
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from citybrain.clock import rfc3339
from citybrain.installation import Installation
from citybrain.intake.report import canonical
from citybrain.keys import Key
from citybrain.problem import Problem, invalid
from citybrain.routing.catalogue import EventType
from geo.mistake import did_you_mean

MOST_FIELDS = 500
POSITIONS = "wgs84"  # the standard's, where the key has no datum of its own
OPEN = "grid"  # the built-in domain of what people report
ATTRIBUTE = re.compile(r"attribute\[([^\]]{1,64})\](\[\])?")
Form = dict[str, list[str]]


def services(here: Installation) -> dict[str, tuple[str, EventType]]:
    """What the public may report, by code: the grid's types and those of the city's own domains, which are data."""
    opened = [domain for code, domain in here.domains.items() if code == OPEN or domain.package is None]
    return {code: (domain.code, kind) for domain in opened for code, kind in domain.catalogue.types.items()}


def read_form(body: bytes, query: str = "") -> Form:
    """Names with their values; one that is empty counts as not sent. What the address says counts too, the body first.
    Raises Problem 400."""
    try:
        pairs = parse_qsl(body.decode(), max_num_fields=MOST_FIELDS, errors="strict")
        pairs += parse_qsl(query, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise Problem(400, f"a form of at most {MOST_FIELDS} fields in UTF-8 is expected") from None
    fields: Form = {}
    for name, value in pairs:
        if value.strip():
            fields.setdefault(name, []).append(value.strip())
    return fields


def one(fields: Form, name: str) -> str | None:
    return fields[name][0] if name in fields else None


def event_of(fields: Form, key: Key, here: Installation, now: int) -> dict[str, Any]:
    """All but `source_event_id`; raises Problem."""
    domain, kind = _service(one(fields, "service_code"), here)
    description = one(fields, "description") or ""
    return {
        "domain": domain,
        "type": kind.code,
        "title": "" if description else kind.row.name,
        "description": description,
        "occurred_at": rfc3339(now, here.city.zone),
        "location": _location(fields, key, here),
        "attributes": _attributes(fields),
    } | ({"reporter": person} if (person := _reporter(fields)) else {})


def repetition_id(fields: Form, secret: str, window: int) -> str:
    """The protocol has no id of a request: the same form from the same key within one window is the same request. The
    secret keeps anybody from guessing who reported it by trying names."""
    form = hmac.new(secret.encode(), canonical(fields), hashlib.sha256).hexdigest()[:40]
    return f"open311 {form} {window}"


def _service(code: str | None, here: Installation) -> tuple[str, EventType]:
    if code is None:
        raise Problem(400, "service_code was not provided: see services.xml")
    known = services(here)
    if code not in known:
        raise Problem(404, f"service_code {code[:64]!r} was not found: see services.xml{did_you_mean(code, known)}")
    return known[code]


def _location(fields: Form, key: Key, here: Installation) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "lat" in fields or "long" in fields:
        found = {"datum": key.datum or POSITIONS}
        found |= {
            ours: _number(fields, theirs) for ours, theirs in (("lng", "long"), ("lat", "lat")) if theirs in fields
        }
    if address := one(fields, "address_string"):
        found["address"] = address
    if code := one(fields, "address_id"):
        if here.city.level_of(code) is None:
            raise invalid(
                "address_id", f"{code[:64]!r} is no division of this city", "send address_string, or lat and long"
            )
        found["division_code"] = code
    return found


def _number(fields: Form, name: str) -> float:
    text = fields[name][0]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise invalid(name, f"{text[:40]!r} is no number of degrees", "send degrees, as in 24.2886")
    return number


def _reporter(fields: Form) -> dict[str, str]:
    """The e-mail address stands with the name, as mail programs write it: it may be all that leads to a person."""
    names = [name for field in ("first_name", "last_name") if (name := one(fields, field))]
    mail = one(fields, "email")
    name = " ".join([*names, f"<{mail}>"] if mail else names)
    phone = one(fields, "phone")
    return {field: text for field, text in (("name", name), ("phone", phone)) if text}


def _attributes(fields: Form) -> dict[str, Any]:
    """`attribute[CODE]=value`, several as `attribute[CODE][]`; a photo's address is kept and never fetched."""
    found: dict[str, Any] = {}
    for name, values in fields.items():
        if given := ATTRIBUTE.fullmatch(name):
            found[given[1]] = values if given[2] else values[0]
    if media := one(fields, "media_url"):
        found["media_url"] = media
    return found


def public(fields: Mapping[str, list[str]]) -> Form:
    """Without what opens the door: the rest is what was said."""
    return {name: values for name, values in fields.items() if name != "api_key"}
