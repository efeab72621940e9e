"""Why an event goes where it goes: a dry run of one that was never posted, or what was decided about a recorded one,
and whether it would be decided the same now. Nothing is kept."""

from typing import Any

from sqlalchemy import select

from citybrain.casework.explaining import changes_since, explanation_of
from citybrain.installation import Installation
from citybrain.intake.placing import check_location, locate
from citybrain.intake.report import parse_report
from citybrain.keys import Key, Role
from citybrain.problem import invalid, not_found
from citybrain.routing.explain import explain
from citybrain.routing.report import Filed
from citybrain.store.tables import events
from citybrain.strict_json import parse_json
from geo.mistake import did_you_mean


def explain_recorded(event_id: str, here: Installation) -> dict[str, Any]:
    """What `GET /api/v1/events/{id}/explanation` answers an administrator. Raises Problem 404."""
    everything = Key("", Role.ADMIN, frozenset(), frozenset(), frozenset())
    with here.store.read() as tx:
        row = tx.execute(select(events).where(events.c.id == event_id)).first()
        if row is None:
            raise not_found("event")
        since = changes_since(tx, row, everything, here)
    return explanation_of(row, here) | {"afterwards": since}


def explain_event(body: bytes, here: Installation) -> dict[str, Any]:
    """Raises the same Problems as posting it would."""
    report = parse_report(parse_json(body), here.clock(), here.remedies)
    domain = here.domains.get(report.domain)
    if domain is None:
        remedy = "one of " + ", ".join(here.domains) + did_you_mean(report.domain, here.domains)
        raise invalid("domain", f"no domain {report.domain!r}", remedy)
    place = locate([check_location(report.location, None, here)], here.locator)[0]
    filed = Filed(
        id="dry-run",
        domain=report.domain,
        occurred_at=report.occurred_at.astimezone(here.city.zone),
        type=report.type,
        grade=report.grade,
        title=report.title,
        description=report.description,
        attributes=report.attributes,
        codes=place.codes,
        method=place.method,
    )
    return {"place": place.as_dict(), **explain(filed, here.context(report.domain, here.clock()), domain.decide)}
