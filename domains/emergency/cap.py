"""Reads a CAP 1.2 alert 预警消息 (OASIS CAP-v1.2) from its XML. What the way of an alert through the city rests on has
to be as the standard says; how a sender grades urgency, severity or certainty is kept as it is written: senders here
write colours where the standard has `Severe`. Before it the XML is read, after it `alerting` makes an event of it."""

import re
from datetime import datetime, tzinfo
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from shapely import to_geojson

from citybrain.codec import Codec
from domains.emergency.strict_xml import MAX_BYTES, SHOWN, Document, Element, XmlError
from geo.alert_area import alert_area
from geo.geometry import GeometryError

__all__ = ["Alert", "Area", "Info", "Named", "Reference", "Resource", "XmlError", "decode"]

STATUSES = ("Actual", "Exercise", "System", "Test", "Draft")
MESSAGES = ("Alert", "Update", "Cancel", "Ack", "Error")
SCOPES = ("Public", "Restricted", "Private")
# The standard has no Z and no fractions (3.3.2); senders have both.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[-+]\d\d:\d\d)")
_SIGNATURE = "Signature"
NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"


class _Part(BaseModel):
    """Fields are named as the standard's elements, in JSON too; one that may be repeated is a list."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Named(_Part):
    value_name: str
    value: str


class Reference(_Part):
    sender: str
    identifier: str
    sent: datetime


class Resource(_Part):
    """`deref_uri`, a file inside the message, is not kept."""

    resource_desc: str
    mime_type: str
    size: str | None
    uri: str | None
    digest: str | None


class Area(_Part):
    """`polygon` and `circle` as sent, latitude first; `geometry` is both as GeoJSON."""

    area_desc: str
    polygon: list[str]
    circle: list[str]
    geocode: list[Named]
    altitude: str | None
    ceiling: str | None
    geometry: dict[str, Any] | None


class Info(_Part):
    language: str
    category: list[str]
    event: str
    response_type: list[str]
    urgency: str
    severity: str
    certainty: str
    audience: str | None
    event_code: list[Named]
    effective: datetime | None
    onset: datetime | None
    expires: datetime | None
    sender_name: str | None
    headline: str | None
    description: str | None
    instruction: str | None
    web: str | None
    contact: str | None
    parameter: list[Named]
    resource: list[Resource]
    area: list[Area]


class Alert(_Part):
    """`signed`: it has a signature, which nobody has verified. `namespace` is that of its root, right or wrong."""

    identifier: str
    sender: str
    sent: datetime
    status: str
    msg_type: str
    source: str | None
    scope: str
    restriction: str | None
    addresses: str | None
    code: list[str]
    note: str | None
    references: list[Reference]
    incidents: str | None
    info: list[Info]
    signed: bool
    namespace: str | None

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def decode(data: bytes) -> Alert:
    """Raises XmlError, and nothing else, for whatever is no alert."""
    return _Reader(Document(data)).alert()


def describe(alert: Alert, _zone: tzinfo) -> dict[str, Any]:
    """The alert with what every frame of a protocol has; its times bring offsets of their own."""
    begins = min(filter(None, (info.onset or info.effective for info in alert.info)), default=alert.sent)
    right = alert.namespace == NAMESPACE
    return {
        "protocol": "cap",
        "device_id": alert.sender,
        "observed_at": begins.isoformat(),
        "sent_at": alert.sent.isoformat(),
        **alert.as_dict(),
        "warnings": [] if right else [f"namespace {NAMESPACE} expected, found {alert.namespace}"],
    }


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document

    def alert(self) -> Alert:
        root = self._document.root
        if root.name != "alert":
            raise self._error(root, f"the root element is {root.name[:SHOWN]!r}, not alert")
        return Alert(
            identifier=self._token(root, "identifier"),
            sender=self._token(root, "sender"),
            sent=self._time(self._child(root, "sent")),
            status=self._word(root, "status", STATUSES),
            msg_type=self._word(root, "msgType", MESSAGES),
            source=_optional(root, "source"),
            scope=self._word(root, "scope", SCOPES),
            restriction=_optional(root, "restriction"),
            addresses=_optional(root, "addresses"),
            code=_texts(root, "code"),
            note=_optional(root, "note"),
            references=[one for each in _all(root, "references") for one in self._references(each)],
            incidents=_optional(root, "incidents"),
            info=[self._info(each) for each in _all(root, "info")],
            signed=any(each.name == _SIGNATURE for each in root.children),
            namespace=root.namespace,
        )

    def _info(self, at: Element) -> Info:
        if not _texts(at, "category"):
            self._child(at, "category")
        return Info(
            language=_optional(at, "language") or "en-US",  # the standard's default
            category=_texts(at, "category"),
            event=self._text(at, "event"),
            response_type=_texts(at, "responseType"),
            urgency=self._text(at, "urgency"),
            severity=self._text(at, "severity"),
            certainty=self._text(at, "certainty"),
            audience=_optional(at, "audience"),
            event_code=self._named(at, "eventCode"),
            effective=self._optional_time(at, "effective"),
            onset=self._optional_time(at, "onset"),
            expires=self._optional_time(at, "expires"),
            sender_name=_optional(at, "senderName"),
            headline=_optional(at, "headline"),
            description=_optional(at, "description"),
            instruction=_optional(at, "instruction"),
            web=_optional(at, "web"),
            contact=_optional(at, "contact"),
            parameter=self._named(at, "parameter"),
            resource=[self._resource(each) for each in _all(at, "resource")],
            area=[self._area(each) for each in _all(at, "area")],
        )

    def _resource(self, at: Element) -> Resource:
        return Resource(
            resource_desc=self._text(at, "resourceDesc"),
            mime_type=self._text(at, "mimeType"),
            size=_optional(at, "size"),
            uri=_optional(at, "uri"),
            digest=_optional(at, "digest"),
        )

    def _area(self, at: Element) -> Area:
        polygons, circles = _texts(at, "polygon"), _texts(at, "circle")
        return Area(
            area_desc=self._text(at, "areaDesc"),
            polygon=polygons,
            circle=circles,
            geocode=self._named(at, "geocode"),
            altitude=_optional(at, "altitude"),
            ceiling=_optional(at, "ceiling"),
            geometry=self._geometry(at, polygons, circles),
        )

    def _references(self, at: Element) -> list[Reference]:
        found = []
        for text in at.text.split():
            parts = text.split(",")
            if len(parts) != 3 or not all(parts) or not _TIME.fullmatch(parts[2]):
                raise self._error(at, f"reference {text[:SHOWN]!r} is no `sender,identifier,sent`")
            found.append(Reference(sender=parts[0], identifier=parts[1], sent=self._moment(at, parts[2])))
        return found

    def _geometry(self, at: Element, polygons: list[str], circles: list[str]) -> dict[str, Any] | None:
        if not (polygons or circles):
            return None
        try:
            found: dict[str, Any] = orjson.loads(to_geojson(alert_area(polygons, circles)))
        except GeometryError as error:
            raise self._error(at, f"area: {error.reason}; {error.remedy}") from None
        return found

    def _named(self, at: Element, name: str) -> list[Named]:
        return [
            Named(value_name=self._text(each, "valueName"), value=_optional(each, "value") or "")
            for each in _all(at, name)
        ]

    def _token(self, at: Element, name: str) -> str:
        """What `references` name, between commas and spaces (3.2.1)."""
        text = self._text(at, name)
        if "," in text or len(text.split()) > 1:
            raise self._error(self._child(at, name), f"{name} {text[:SHOWN]!r} has a comma or a space in it")
        return text

    def _word(self, at: Element, name: str, words: tuple[str, ...]) -> str:
        text = self._text(at, name)
        for word in words:
            if text.casefold() == word.casefold():
                return word
        raise self._error(self._child(at, name), f"{name} is {text[:SHOWN]!r}, not one of {', '.join(words)}")

    def _optional_time(self, at: Element, name: str) -> datetime | None:
        return self._time(self._child(at, name)) if _optional(at, name) else None

    def _time(self, at: Element) -> datetime:
        if not _TIME.fullmatch(at.text):
            example = "2026-11-22T08:00:00+08:00"
            raise self._error(at, f"{at.name} {at.text[:SHOWN]!r} is no time with an offset, as in {example}")
        return self._moment(at, at.text)

    def _moment(self, at: Element, text: str) -> datetime:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise self._error(at, f"there is no such time: {text[:SHOWN]!r}") from None

    def _text(self, at: Element, name: str) -> str:
        child = self._child(at, name)
        if not child.text:
            raise self._error(child, f"{name} in {at.name} is empty")
        return child.text

    def _child(self, at: Element, name: str) -> Element:
        """The first of that name."""
        found = next(iter(_all(at, name)), None)
        if found is None:
            raise self._error(at, f"{at.name} has no {name}")
        return found

    def _error(self, at: Element, message: str) -> XmlError:
        return self._document.error(at, message)


def _all(at: Element, name: str) -> list[Element]:
    return [child for child in at.children if child.name == name]


def _texts(at: Element, name: str) -> list[str]:
    return [child.text for child in _all(at, name) if child.text]


def _optional(at: Element, name: str) -> str | None:
    return next(iter(_texts(at, name)), None)


CODEC = Codec((b"<",), MAX_BYTES, len, decode, describe, "document", ending=b"alert>")
