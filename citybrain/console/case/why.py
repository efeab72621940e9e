"""Why a case is where it is, in sentences, from the explanation of the decision: what decided, and every rule, word and
department that was tried."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from citybrain.console.indicators.coverage_ladder import level_name
from citybrain.console.rendering import moment, type_name
from citybrain.console.texts import language, listed, named, section, t, word
from citybrain.installation import Installation
from citybrain.routing.catalogue import EventType

Part = Mapping[str, Any]


class Reason(NamedTuple):
    head: str
    lines: list[str]


class Why(NamedTuple):
    """`decided` is what made the difference, `tried` all that was looked at on the way."""

    decided: list[Reason]
    tried: list[Reason]


def of(explanation: Part | None, domain: str, here: Installation) -> Why:
    """Empty when nothing has been decided yet. Keys that are missing are left out, never guessed."""
    if not explanation:
        return Why([], [])
    found = explanation.get("type") or {}
    decided = [
        Reason(
            t("why.triage"), [each.get(language.get()) or each["reason"] for each in explanation.get("triage") or []]
        ),
        Reason(t("why.type"), _type(found, domain, here)),
        Reason(t("why.terms"), _terms(explanation, here, domain)),
        Reason(t("why.department"), _responsible(explanation.get("department"), here)),
        Reason(t("why.merge"), _merge(explanation.get("merge"))),
    ]
    tried = [
        Reason(t("why.matched"), [_match(each, domain, here) for each in found.get("matched") or []]),
        Reason(t("why.unfired"), unfired(found, domain, here)),
        Reason(t("why.others"), _others(found, domain, here)),
        Reason(t("why.departments"), tried_departments(explanation.get("department"), here)),
        Reason(t("why.basis"), _basis(explanation)),
    ]
    return Why([part for part in decided if part.lines], [part for part in tried if part.lines])


def found_type(found: Part, domain: str, here: Installation) -> list[str]:
    return [*_type(found, domain, here), *(_match(each, domain, here) for each in found.get("matched") or [])]


def _type(found: Part, domain: str, here: Installation) -> list[str]:
    winner, by = found.get("winner"), found.get("by")
    lines = [t("why.no_type")]
    if winner and by in ("posted", "rule", "terms"):
        how = {"posted": t("why.by_posted"), "rule": t("why.by_rule", rule=found.get("rule")), "terms": _words(found)}
        lines = [t("joint.of", name=type_name(here, domain, winner), text=how[by])]
    if guesses := found.get("guesses"):
        lines.append(t("why.guesses", types=listed(type_name(here, domain, code) for code in guesses)))
    if found.get("posted_lost"):
        because = t("why.posted_unknown") if found["posted_lost"] == "unknown" else t("why.posted_overridden")
        lines.append(t("why.posted_lost", type=found.get("posted"), because=because))
    return lines


def _words(found: Part) -> str:
    first = next((each for each in found.get("matched") or [] if each.get("terms") and not each.get("lost")), None)
    return t("why.by_terms", words=quoted(first["terms"])) if first else t("why.by_words")


def quoted(terms: list[str]) -> str:
    """A term of several parts is written with & in the pack."""
    return listed(t("joint.quoted", text=term.replace("&", t("why.and"))) for term in terms)


def _match(each: Part, domain: str, here: Installation) -> str:
    name = type_name(here, domain, each.get("type"))
    if each.get("kind") == "rule":
        tests = t("joint.clause").join(_test(test) for test in each.get("when") or [])
        text = t("why.rule_held", rule=each.get("rule"), type=name) + (t("joint.aside", text=tests) if tests else "")
    else:
        seen = quoted(each.get("terms") or [])
        text = t("why.terms_held", words=seen, type=name) if seen else name
    if each.get("excluded_by"):
        text += t("joint.aside", text=t("joint.quoted", text=each["excluded_by"]))
    return text + (t("why.lost", because=word("lost_because", each["lost"])) if each.get("lost") else t("why.won"))


def unfired(found: Part, domain: str, here: Installation) -> list[str]:
    return [_unfired(code, why, domain, here) for code, why in (found.get("unfired") or {}).items()]


def _unfired(code: str, why: str, domain: str, here: Installation) -> str:
    """A rule that was tried and did not hold; its tests stand in the domain's pack."""
    kind, _, rest = why.partition(":")
    if kind == "without":
        return t("why.without", rule=code, word=rest)
    if kind == "terms":
        return t("why.no_terms", rule=code)
    tests: list[Any] = next((rule.row.when for rule in _rules(domain, here) if rule.row.code == code), [])
    shown = _test(tests[int(rest) - 1].model_dump(exclude_none=True)) if int(rest) <= len(tests) else ""
    return t("why.no_test", rule=code, n=rest) + (t("joint.aside", text=shown) if shown else "")


def _others(found: Part, domain: str, here: Installation) -> list[str]:
    """Of the rules of the domain those that were not even tried: nothing that they ask for occurs."""
    if not found:
        return []
    held = {each.get("rule") for each in found.get("matched") or [] if each.get("kind") == "rule"}
    codes = [rule.row.code for rule in _rules(domain, here)]
    rest = [code for code in codes if code not in held and code not in (found.get("unfired") or {})]
    return [t("why.untried", n=len(rest), all=len(codes), rules=listed(rest))] if rest else []


def _rules(domain: str, here: Installation) -> Any:
    return here.domains[domain].catalogue.rules if domain in here.domains else []


def _test(test: Part) -> str:
    parts = (test.get("attribute"), test.get("op"), test.get("value", test.get("other_attribute")))
    text = " ".join(_listed(part) for part in parts if part is not None)
    return t("why.was", test=text, was=_listed(test["was"])) if test.get("was") is not None else text


def _listed(value: Any) -> str:
    return listed(map(str, value)) if isinstance(value, list) else str(value)


def _terms(explanation: Part, here: Installation, domain: str) -> list[str]:
    lines = []
    if grade := explanation.get("grade"):
        lines.append(t("joint.of", name=grade_text(grade["value"]), text=origin(grade.get("from"), here, domain)))
    if limit := explanation.get("limit"):
        name = t("why.limit", limit=limit_text(limit))
        lines.append(t("joint.of", name=name, text=origin(limit.get("from"), here, domain)))
    if conditions := explanation.get("conditions"):
        lines.append(t("why.conditions", names=listed(each["name"] for each in conditions)))
    return lines


def grade_text(value: int) -> str:
    return t("why.grade", grade=word("grade", value), name=word("grade_name", value))


def origin(source: str | None, here: Installation, domain: str) -> str:
    kind, _, code = (source or "").partition(":")
    if source == "type":
        return t("origin.plain_type")
    if kind in ("type", "guess"):
        return t(f"origin.{kind}", name=type_name(here, domain, code))
    return t(f"origin.{kind}", code=code) if kind in section("origin") else t("origin.none")


def limit_text(limit: Part) -> str:
    return t("why.amount", amount=f"{limit['amount']:g}", unit=word("unit", limit["unit"], limit["amount"]))


def _responsible(found: Part | None, here: Installation) -> list[str]:
    if not found:
        return []
    lead = found.get("lead")
    lines = [t("why.lead", name=department_name(here, lead)) if lead else t("why.no_lead")]
    helpers = [department_name(here, code) for code in (found.get("assist") or {}).values() if code and code != lead]
    return [*lines, t("why.assist", names=listed(dict.fromkeys(helpers)))] if helpers else lines


def tried_departments(found: Part | None, here: Installation) -> list[str]:
    """Level by level, from the one that the type asks for upward."""
    lines = []
    for tried in (found or {}).get("tried") or []:
        division = here.city.divisions.get(tried.get("division") or "")
        where = division.name if division else level_name(here.city, tried.get("level") or "")
        department = tried.get("department")
        text = department_name(here, department) if department else t("why.no_duty", duty=tried.get("duty") or "")
        lines.append(t("joint.of", name=where, text=text))
    return lines


def _merge(found: Part | None) -> list[str]:
    rules = merge_rules(found)
    lines = [t(f"why.merges_by_{merged_by(rule)}", within=merge_limits(rule)) for rule in rules]
    return [*lines[:1], *(t("why.or_else", rule=line) for line in lines[1:])]


def merge_rules(found: Part | None) -> list[Part]:
    """In the order in which they are tried; the next stands under `or`."""
    return [found, *merge_rules(found.get("or"))] if found else []


def merged_by(rule: Part) -> str:
    """`device` or `place`, which stands in the key, behind the type if that is named."""
    return next((part for part in rule["key"].split("|")[:2] if part in ("device", "place")), "place")


def merge_limits(found: Part) -> str:
    """Within what time and distance reports are one thing."""
    minutes, metres = found["within_minutes"], found.get("within_m")
    when = t("why.within_minutes", n=minutes) if minutes else t("why.until_done")
    return listed([when, t("why.within_metres", n=f"{metres:g}")]) if metres else when


def _basis(explanation: Part) -> list[str]:
    basis = explanation.get("basis") or {}
    lines = [t("joint.of", name=name, text=basis[code]) for code, name in section("basis").items() if code in basis]
    decided_at = explanation.get("decided_at")
    return [t("why.decided_at", at=moment(decided_at)), *lines] if decided_at else lines


def type_words(kind: EventType) -> str:
    return f"{named(kind.row)} {kind.code}"


def department_name(here: Installation, code: str | None) -> str:
    department = here.city.departments.get(code or "")
    return named(department) if department else (code or "")
