"""A dry run of one event: where it would go and why. Parsed, located and decided as on the real way, nothing kept."""

from typing import Any

from citybrain.installation import Installation
from citybrain.intake.placing import check_location, locate
from citybrain.intake.report import parse_json, parse_report
from citybrain.problem import invalid
from citybrain.routing.explain import explain
from citybrain.routing.report import Filed
from geo.mistake import did_you_mean


def explain_event(body: bytes, here: Installation) -> dict[str, Any]:
    """Raises the same Problems as posting it would."""
    report = parse_report(parse_json(body), here.clock())
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
