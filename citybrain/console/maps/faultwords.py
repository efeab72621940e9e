"""A fault of a boundary file in the words of the person at the page: what exactly is wrong, with its codes and figures.
Kind and remedy have words of their own; the rest stands in the report, which may be an old one, as one English line, as
the API tells it. A line that is not known here is shown as it is."""

import re
from collections.abc import Mapping
from typing import Any

from citybrain.city import City
from citybrain.console.texts import listed, named, t, word

_UNKNOWN = r"^a (?P<level>\w+) of divisions\.csv"
_MEANT = re.compile(r"; did you mean (?P<meant>[^?]*)\?")


def _patterns(**texts: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), name) for name, pattern in texts.items())


# By kind: what the line says, and the text for it.
DETAILS: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "unreadable": _patterns(
        empty=r"^the file is empty",
        too_large=r"^the (?:file is larger|zip holds more) than (?P<n>\d+) MiB",
        half=r"half written",
        no_json=r"^no readable GeoJSON: .* in line (?P<line>\d+)",
        no_format=r"^no GeoJSON FeatureCollection",
        no_feature=r"is no Feature$",
        bad_zip=r"^the zip is damaged",
        shapefiles=r"^the zip has (?P<n>\d+) Shapefiles",
        parts=r"^the Shapefile lacks its (?P<parts>.*)$",
        fewer=r"^(?P<all>\d+) features in the file, (?P<n>\d+) can be read",
        layers=r"^layers (?P<what>.*) in the GeoPackage",
        nothing=r"^no (?:polygon|geometry) in the file",
        unreadable=r"^no readable polygons \((?P<why>.*)\)$",
        nested=r"^nested (?P<n>\d+) deep",
        died=r"^files that can be examined",
    ),
    "no_file": _patterns(no_file=r"^a file for this level"),
    "no_crs": _patterns(no_crs=r"^it does not say", not_turned=r"to WGS-84: (?P<why>.*)$"),
    "no_field": _patterns(no_column=r"^no column (?P<what>.*); found (?P<there>.*)$", no_level=r"^neither a level"),
    "no_polygon": _patterns(no_polygon=r"^a polygon that is not empty"),
    "not_a_polygon": _patterns(not_a_polygon=r"this is a (?P<what>\w+)$"),
    "no_degrees": _patterns(no_degrees=r"it reaches to (?P<east>\S+), (?P<north>\S+)$"),
    "elsewhere": _patterns(elsewhere=r"^inside the envelope \[(?P<city>.*)\], it lies in \[(?P<there>.*)\]$"),
    "broken": _patterns(
        nothing_left=r"^a valid polygon \((?P<why>[^[)]*).*, nothing is left",
        too_much=r"^a valid polygon \((?P<why>[^[)]*).*; mending would change too much",
    ),
    "mended": _patterns(mended=r"^(?P<why>.*): mended$"),
    "bad_code": _patterns(no_code=r"it has none$", bad_code=r"^['\"](?P<what>.*)['\"] is no code$"),
    "duplicate_code": _patterns(
        same_feature=r"only once, feature (?P<n>\d+) has it$", same_level=r"only once, level (?P<level>\w+) has it$"
    ),
    "odd_code": _patterns(odd_code=r"^a code of as many digits"),
    "unknown_code": _patterns(
        other_level=r"of divisions\.csv, .* is a (?P<level>\w+) there$",
        unknown_code=_UNKNOWN,
    ),
    "new_code": _patterns(unknown_code=_UNKNOWN),
    "no_name": _patterns(no_name=r"^a name$"),
    "bad_source": _patterns(bad_source=r"^source ['\"](?P<what>.*)['\"] is none of"),
    "bad_level": _patterns(bad_level=r"^level ['\"](?P<what>.*)['\"] is none of", two_files=r"^one file a level"),
    "missing_parent": _patterns(missing_parent=r"of level (?P<level>\w+), found ['\"](?P<what>.*)['\"]$"),
    "changed_parent": _patterns(changed_parent=r"^in (?P<before>.*) until now, in (?P<now>.*) here$"),
    "overlap": _patterns(overlap=r"^no overlap with (?P<other>.*)$"),
    "outside_parent": _patterns(outside_parent=r"^ground inside its parent's \((?P<parent>.*)\)$"),
    "gap": _patterns(gap=r"^its children to fill", hole=r"^no hole in the middle"),
    "sliver": _patterns(sliver=r"narrower than (?P<metres>\S+) m$"),
    "gone_code": _patterns(gone_code=r"^(?P<name>.*) has no polygon any more$"),
    "renamed": _patterns(renamed=r"^(?P<before>.*) until now, (?P<now>.*) here$"),
}


def detail(fault: Mapping[str, Any], city: City) -> str | None:
    """None for a line that has no words here."""
    meant = _MEANT.search(fault["what"])
    line = _MEANT.sub("", fault["what"])
    for pattern, name in DETAILS.get(fault["kind"], ()):
        if found := pattern.search(line):
            told = t(f"fault_detail.{name}", **_said(found.groupdict(), city))
            return told + t("fault_detail.meant", **meant.groupdict()) if meant else told
    return None


def _said(figures: dict[str, str], city: City) -> dict[str, str]:
    """Levels by the city's own names, and what GEOS calls a ring in the reader's language."""
    if level := figures.get("level"):
        figures["level"] = named(city.levels[level]) if level in city.levels else level
    if why := figures.get("why"):
        figures["why"] = word("ring", why.strip())
    if parts := figures.get("parts"):
        figures["parts"] = listed(parts.split(" and "))
    return figures
