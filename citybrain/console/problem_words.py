"""A Problem in the words of the person at the page; what has no words of its own is shown as the API says it."""

import re
from collections.abc import Mapping
from typing import Any

from citybrain.console.rendering import moment
from citybrain.console.texts import listed, t, word
from citybrain.problem import FieldError, Problem

# What a message of the API says, and the text for it; what is named in it stands in the text.
REASONS = (
    (re.compile(r"requires it$"), "required"),
    (re.compile(r"^the case has none yet"), "type_needed"),
    (re.compile(r"is no type of"), "no_type"),
    (re.compile(r"^no department"), "no_department"),
    (re.compile(r"not in the future"), "past"),
    (re.compile(r"not later than the present deadline"), "earlier"),
    (re.compile(r"no such other case"), "no_case"),
    (re.compile(r"not all of them are events|none would stay"), "split_some"),
    (re.compile(r"only when exchanged"), "exchanged"),
    (re.compile(r"\(0, 0\)"), "zero"),
    (re.compile(r"is no longitude"), "longitude"),
    (re.compile(r"is no latitude"), "latitude"),
    (re.compile(r"belong together"), "both"),
    (re.compile(r"needs lng and lat"), "where"),
    (re.compile(r"must be a number"), "number"),
    (re.compile(r"^no division"), "no_division"),
    (re.compile(r"^they contradict each other"), "contradicting"),
    (re.compile(r"in the future"), "future"),
    (re.compile(r"at most (?P<n>\d+) characters"), "too_long"),
    (re.compile(r"[Ff]ield required"), "required"),
    (re.compile(r"^['\"](?P<what>.*)['\"] is no basis"), "no_basis"),
    (re.compile(r"^['\"](?P<what>.*)['\"] is no level"), "no_level"),
    (re.compile(r", below level"), "below_level"),
    (re.compile(r"^['\"](?P<what>.*)['\"] is no day"), "no_day"),
    (re.compile(r"before the registry begins \((?P<day>.*)\)"), "before_registry"),
    (re.compile(r"is after (?P<day>\S+), when all present evidence"), "after_window"),
    (re.compile(r"valid integer"), "integer"),
    (re.compile(r"valid boolean"), "boolean"),
    (re.compile(r"greater than or equal to (?P<n>\d+)"), "least"),
    (re.compile(r"less than or equal to (?P<n>\d+)"), "most"),
    (re.compile(r"^Input should be '|is no state of"), "no_choice"),
    (re.compile(r"^['\"](?P<what>.*)['\"] is none of this city's"), "unknown_code"),
    (re.compile(r"may not reach this address"), "refused_address"),
    (re.compile(r"user names and passwords"), "credentials"),
    (re.compile(r"speaks another protocol"), "port"),
    (re.compile(r"^only http|^this is no|names no host|^the (host is|port|address (has|is too))"), "no_address"),
    (re.compile(r"at least 1 item"), "choose_one"),
    (re.compile(r"where no case is named"), "since_or_case"),
    (re.compile(r"^it is required"), "required"),
    (re.compile(r"SM3"), "no_sm3"),
    (re.compile(r"^a key of the role"), "no_duties"),
    (re.compile(r"^(?P<what>.*) is no period"), "no_period"),
    (re.compile(r"too many months"), "months"),
    (re.compile(r"^no file$"), "no_file"),
    (re.compile(r"^unknown datum '(?P<what>.*)': expected"), "no_crs"),
    (re.compile(r"is no date$"), "no_date"),
    (re.compile(r"is no JPEG, PNG or WebP"), "no_photo"),
    (re.compile(r"^it is empty"), "empty_file"),
    (re.compile(r"truncated or damaged"), "damaged"),
    (re.compile(r"another kind of file as well"), "not_only_photo"),
    (re.compile(r"(?P<n>\d+) million"), "pixels"),
    (re.compile(r"it is an animation"), "animation"),
    (re.compile(r"larger than (?P<n>\d+) MiB"), "too_large"),
)
DETAILS = (
    (re.compile(r"^no such division"), "no_division"),
    (re.compile(r"^no such"), "nothing"),
    (re.compile(r"^the role"), "role"),
    (re.compile(r"not one of this session"), "session"),
    (re.compile(r"is unknown, expired or revoked"), "key"),
    (re.compile(r"the store cannot|not acknowledged"), "store"),
    (re.compile(r"unforeseen"), "unforeseen"),
    (re.compile(r"^at most (\d+) views"), "views"),
    (re.compile(r"^another edition is being examined"), "examining"),
    (re.compile(r"^edition \S+ has errors"), "edition"),
    (re.compile(r"only quarantined events are replayed"), "replay"),
    (re.compile(r"only failed and pending deliveries"), "retry"),
    (re.compile(r"may not post to the domain"), "no_domain"),
    (re.compile(r"another event was posted under"), "posted"),
    (re.compile(r"^an endpoint named"), "endpoint_name"),
    (re.compile(r"^the secret was rotated"), "rotated"),
    (re.compile(r"secrets sign already"), "secrets"),
    (re.compile(r"^name .*: letters, digits"), "key_name"),
    (re.compile(r"^a key named"), "key_taken"),
    (re.compile(r"is the last admin key"), "last_admin"),
    (re.compile(r"^no valid key"), "no_key"),
    (re.compile(r" was appointed .*: the case cannot be returned"), "appointed"),
    (re.compile(r"has no deadline that could be extended"), "no_deadline"),
    (re.compile(r"was extended (?P<n>\d+) times"), "extended_often"),
    (re.compile(r"^the case is overdue"), "overdue"),
    (re.compile(r"which waits for an answer$"), "asked_already"),
    (re.compile(r"^(nothing that|what) was asked for"), "lapsed"),
    (re.compile(r"^the case was closed more than (?P<n>\d+) days ago"), "too_late"),
    (re.compile(r"^no appeal waits|^this appeal was"), "judged"),
    (re.compile(r"^an appeal against"), "appealed"),
    (re.compile(r"^none of your departments has"), "not_in_hand"),
    (re.compile(r"^case (?P<number>\S+) is \w+: nothing can be merged"), "into_ended"),
    (re.compile(r"^case (?P<number>\S+) was reported done before"), "into_done"),
    (re.compile(r"are taken in by hand"), "taken_in"),
    (re.compile(r"^there are (?P<n>\d+) photos already"), "photos_full"),
    (re.compile(r"Maximum number of files is (?P<n>\d+)"), "many_files"),
    (re.compile(r"^the form cannot be read"), "form"),
    (re.compile(r"^the body is larger than (?P<n>\d+) MiB"), "too_large"),
)
_ACTED = re.compile(r"^(?P<actor>\S+) acted first \((?P<action>\w+), (?P<at>[^)]+)\)")


def in_words(problem: Problem, of: str = "") -> list[str]:
    """One sentence each: a conflict says who acted first, a wrong field which one. `of` is the name of what was sent,
    where that says more than the field."""
    if (case := problem.extra.get("case")) and "timeline" in case:
        return [acted_first(case)]
    if "open_cases" in problem.extra:
        return [t("problem.open_cases") if problem.extra["open_cases"] else t("problem.open_hidden")]
    if legal := problem.extra.get("legal"):
        possible = t("problem.legal", actions=listed(word("action", each) for each in legal))
        return [_known(problem.detail) or t("problem.moved_on"), possible]
    if problem.errors:
        return [_field(error, of) for error in problem.errors]
    if found := _ACTED.search(problem.detail):
        return [t("problem.acted", **_deed(**found.groupdict()))]
    return [_known(problem.detail) or problem.detail]


def acted_first(case: Mapping[str, Any]) -> str:
    """Who did the last thing to the case, and what."""
    return t("problem.acted_first", **_deed(**case["timeline"][-1]))


def _known(detail: str) -> str | None:
    looked = ((pattern.search(detail), name) for pattern, name in DETAILS)
    return next((t(f"problem.{name}", **match.groupdict()) for match, name in looked if match), None)


def _deed(actor: str, action: str, at: str, **_more: object) -> dict[str, str]:
    return {"actor": word("actor", actor), "action": word("done", action), "at": moment(at)}


def _field(error: FieldError, of: str) -> str:
    name = of or word("field", error.field.removeprefix("body.").removeprefix("query."))
    found = ((pattern.search(error.message), key) for pattern, key in REASONS)
    known = (t(f"reason.{key}", **match.groupdict()) for match, key in found if match)
    return t("reason.line", field=name, reason=next(known, error.message))
