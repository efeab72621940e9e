"""What a person may choose from in a form: departments, the likely ones first; types by class; divisions by level."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from citybrain.city import City
from citybrain.console.texts import named, t
from citybrain.installation import Installation
from citybrain.keys import UNLOCATED, WITHOUT, Key
from citybrain.routing.departments import Department
from geo.divisions import Division

REGIONS = ("county", "town", "village")


class Option(NamedTuple):
    code: str
    name: str


class Group(NamedTuple):
    name: str
    options: list[Option]


def departments(here: Installation, domain: str, type_: str | None, codes: Mapping[str, str | None]) -> list[Group]:
    """Every department once: whom the rules name, then those of this domain at this place, those at this place, all."""
    left = dict(here.city.departments)
    place = {here.city.file.city.code, *(code for code in codes.values() if code)}
    named = here.responsible(domain, type_, codes)
    groups = [Group(t("choice.suggested"), _taken(left, [named] if named else []))]
    mine = [each.code for each in left.values() if place & set(each.divisions) and domain in each.domains]
    groups.append(Group(t("choice.own"), _taken(left, _nearest(mine, here.city, domain))))
    near = [each.code for each in left.values() if place & set(each.divisions)]
    groups.append(Group(t("choice.near"), _taken(left, near)))
    groups.append(Group(t("choice.city"), _taken(left, list(left))))
    return [group for group in groups if group.options]


def nearby(groups: Iterable[Group]) -> list[Option]:
    """Those that may assist: whoever is at the place."""
    return [option for group in groups if group.name != t("choice.city") for option in group.options]


def _nearest(codes: list[str], city: City, domain: str) -> list[str]:
    """The domain's own departments before those that also work in it; counties before the city."""
    order = {"town": 1, "county": 0, "city": 2}

    def rank(code: str) -> tuple[bool, int]:
        department = city.departments[code]
        return domain not in department.duties, order.get(department.level, 3)

    return sorted(codes, key=rank)


def _taken(left: dict[str, Department], codes: list[str]) -> list[Option]:
    found = ((code, left.pop(code, None)) for code in codes)
    return [Option(code, department.name) for code, department in found if department]


def types(here: Installation, domain: str) -> list[Group]:
    by_class: dict[str, list[Option]] = {}
    known = here.domains.get(domain)
    for kind in known.catalogue.types.values() if known else ():
        by_class.setdefault(kind.row.class_ or t("choice.other_types"), []).append(Option(kind.code, named(kind.row)))
    return [Group(name, options) for name, options in by_class.items()]


def domains_of(key: Key, here: Installation) -> list[Option]:
    return [
        Option(code, named(domain.manifest.domain))
        for code, domain in here.domains.items()
        if not key.domains or code in key.domains
    ]


class Region(NamedTuple):
    """One select of the way down to a village. The first two are filled, the rest by script when one is chosen; all
    where levels do not nest."""

    level: str
    name: str
    groups: list[Group]


def regions(city: City) -> list[Region]:
    found: list[Region] = []
    for position, level in enumerate(level for level in REGIONS if level in city.levels):
        whole = position < 2 or not city.file.levels.nested
        groups = _by_parent(city, city.divisions.level(level)) if whole else []
        found.append(Region(level, named(city.levels[level]), groups))
    return found


def queue_places(city: City, key: Key) -> list[Option]:
    """The places that queues are told by: the coarsest divisions that may hold anything the key may see, and for who
    may see the whole city, what lies in none of them or has no place at all."""
    every = [Option(each.code, each.name) for each in city.divisions.level(city.first_level)]
    nested = city.file.levels.nested
    if not key.divisions or city.file.city.code in key.divisions:
        beside = [UNLOCATED] if nested else [WITHOUT + city.first_level, UNLOCATED]
        return every + [Option(code, place_name(city, code)) for code in beside]
    if not nested and any(city.level_of(code) != city.first_level for code in key.divisions):
        return every
    seen = {code for mine in key.divisions for code in city.divisions.path(mine).values()}
    return [each for each in every if each.code in seen]


def place_name(city: City, code: str) -> str:
    """Of a division, or of a word that is asked for in place of its code."""
    if code == UNLOCATED:
        return t("case.nowhere")
    if code.startswith(WITHOUT) and (level := code.removeprefix(WITHOUT)) in city.levels:
        return t("choice.without", level=named(city.levels[level]))
    division = city.divisions.get(code)
    return division.name if division else code


def _by_parent(city: City, rows: Iterable[Division]) -> list[Group]:
    groups: dict[str, list[Option]] = {}
    for row in rows:
        groups.setdefault(row.parent_code, []).append(Option(row.code, row.name))
    named = ((city.divisions.get(code), options) for code, options in groups.items())
    return [Group(parent.name if parent else "", options) for parent, options in named]


def chosen(fields: Mapping[str, Any]) -> list[str]:
    """The divisions that were chosen, one a level: where levels do not nest, none of them says another."""
    return [fields[level][0] for level in REGIONS if level in fields]
