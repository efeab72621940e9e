"""CloudEvents 1.0 over HTTP, in all three content modes: what the envelope says and the event inside it become the same
event as at POST /api/v1/events, and take the same way. docs/formats.md says which attribute becomes what."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response

from citybrain.installation import Installation
from citybrain.intake.api import Intake, media_type, parse_array
from citybrain.intake.foreign_id import foreign_id
from citybrain.keys import Key
from citybrain.problem import FieldError, Problem, invalid
from citybrain.strict_json import parse_json

STRUCTURED, BATCHED = "application/cloudevents", "application/cloudevents-batch"
PREFIX = "ce-"
REQUIRED = ("specversion", "id", "source", "type")
OPTIONAL = ("subject", "time", "datacontenttype")
TITLE = 200  # letters, as a report's own
KEPT = ("id", "source", "type", "subject")  # the rest is of the transport: a repetition may have another one
VERSION = "1.0"
_JSON = re.compile(r"(application|text)/(json|[a-z0-9.!#$&^_-]+\+json)\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class CloudEvents:
    """The door. A producer's `source` is not the key's: it says, with `id`, which event this is."""

    def __init__(self, intake: Intake, here: Installation) -> None:
        self._intake = intake
        types = {code: name for name, domain in here.domains.items() for code in domain.catalogue.types}
        self._read = partial(event_of, codes=types | {name: name for name in here.domains})

    async def post(self, request: Request, key: Key) -> Response:
        media = media_type(request)
        if media == f"{BATCHED}+json":
            return await self._intake.take_many(request, key, parse_array, self._read)
        if media == f"{STRUCTURED}+json":
            return await self._intake.take_one(request, key, lambda body: self._read(parse_json(body)))
        if media.startswith(STRUCTURED):
            remedy = f"send {STRUCTURED}+json or {BATCHED}+json, or ce-… headers and the event's JSON as body"
            raise Problem(415, f"the event format of {media[:100]!r} is not read: {remedy}")
        return await self._intake.take_one(request, key, lambda body: self._read(of_headers(request.headers, body)))


def event_of(cloud: Any, codes: Mapping[str, str]) -> dict[str, Any]:
    """The event's JSON from an envelope in the JSON event format; raises Problem. What the envelope says of identity
    and time counts before what the data say; type and subject stand in for what the data lack. `codes`: the domain of
    every type and domain there is."""
    if not isinstance(cloud, dict):
        raise invalid("body", "a CloudEvent is a JSON object", f"send {{…}}; several go as {BATCHED}+json")
    _check(cloud, "{} in the envelope")
    data = cloud.get("data")
    if not isinstance(data, dict):
        raise invalid("data", "it is no JSON object", "send the event as POST /api/v1/events takes it")
    kept = {name: cloud[name] for name in KEPT if cloud.get(name)}
    if "source_event_id" in data:
        kept["source_event_id"] = data["source_event_id"]
    raw = data | {"source_event_id": foreign_id(cloud["source"], cloud["id"])}
    if cloud.get("time"):
        raw["occurred_at"] = cloud["time"]
    if isinstance(attributes := raw.get("attributes", {}), dict):
        raw["attributes"] = attributes | {"cloudevent": kept}
    if not raw.get("title") and cloud.get("subject"):
        raw["title"] = cloud["subject"][:TITLE]
    return raw if raw.get("domain") else raw | _meant(cloud["type"], raw, codes)


def _meant(type_: str, raw: Mapping[str, Any], codes: Mapping[str, str]) -> dict[str, str]:
    """Domain and type of `gov.meizhou.fire.building_fire`: the end of it that is a type here, or a domain."""
    *_, above, last = ["", *type_.rsplit(".", 2)]
    found = next((end for end in (f"{above}.{last}", last) if end in codes), None)
    if found is None:
        return {}
    domain = codes[found]
    return {"domain": domain} | ({} if found == domain or raw.get("type") else {"type": found})


def of_headers(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The envelope whose attributes stand in headers (binding 3.1.3), as the JSON event format has it."""
    found: dict[str, Any] = {
        name[len(PREFIX) :]: _decoded(name, value) for name, value in headers.items() if name.startswith(PREFIX)
    }
    cloud = found | {"datacontenttype": headers.get("content-type") or "application/json"}
    _check(cloud, f"{PREFIX}{{}} in the headers")
    return cloud | {"data": parse_json(body)}


def _decoded(name: str, value: str) -> str:
    """Quotes and backslashes of older senders taken off, then one round of percent-decoding (3.1.3.2)."""
    if quoted := _QUOTED.fullmatch(value.strip()):
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise invalid(name, "it is not percent-encoded UTF-8", "encode what is not ASCII, as in %E6%A2%85") from None


def _check(cloud: Mapping[str, Any], where: str) -> None:
    """Raises Problem with everything that is wrong with the envelope."""
    absent = [name for name in REQUIRED if not isinstance(cloud.get(name), str) or not cloud[name]]
    errors = [FieldError(name, "a text is required", f"send {where.format(name)}") for name in absent]
    odd = [name for name in OPTIONAL if cloud.get(name) is not None and not isinstance(cloud[name], str)]
    errors += [FieldError(name, "it is no text", "send a text, or leave it out") for name in odd]
    if not errors and cloud["specversion"] != VERSION:
        errors.append(FieldError("specversion", f"{cloud['specversion'][:20]!r} is not read", f"send {VERSION}"))
    if cloud.get("data_base64") is not None:
        errors.append(FieldError("data_base64", "binary data hold no event", "send the event's JSON in data"))
    if errors:
        fields = ", ".join(each.field for each in errors)
        raise Problem(422, f"the CloudEvent has {len(errors)} mistake(s): {fields}", errors=errors)
    content = cloud.get("datacontenttype")
    if content is not None and not _JSON.fullmatch(content):
        raise Problem(415, f"datacontenttype {content[:100]!r} is not read: send the event as application/json")
