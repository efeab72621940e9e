"""`citybrain city new` and `citybrain domain new`: a folder with every file a pack needs, each line explained, that
`citybrain check` accepts or tells how to go on."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from citybrain.commands import patterns
from citybrain.domain import HANDLER, MANIFEST, OF_PACK
from geo.divisions import LEVELS
from geo.mistake import Mistake, Mistakes, did_you_mean

NAMES = {"county": "County", "town": "Town", "village": "Village", "cell": "Grid cell"}
Box = tuple[float, float, float, float]
Row = tuple[str, str, str, str]  # of divisions.csv


def new_city(
    folder: Path, *, name: str, code: str, timezone: str, levels: Mapping[str, str], nested: bool, box: Box | None,
    domains: Sequence[str],
) -> list[str]:  # fmt: skip
    """Writes the pack and answers what to do next. Raises `Mistakes`: unknown levels, a folder that is not empty."""
    mistakes = [
        Mistake("--levels", level, f"one of {', '.join(LEVELS[1:])}{did_you_mean(level, LEVELS[1:])}")
        for level in levels
        if level not in LEVELS[1:]
    ]
    _refuse(mistakes + _not_empty(folder))
    levels = {level: levels[level] for level in LEVELS[1:] if level in levels}
    words = {
        "code": json.dumps(code),
        "name": json.dumps(name, ensure_ascii=False),
        "timezone": json.dumps(timezone),
        "crs": json.dumps(_utm(box) if box else ""),
        "envelope": json.dumps(box or []),
        "nested": json.dumps(nested),
        "levels": "\n".join(_level_line(level, named) for level, named in levels.items()),
        "domains": json.dumps(list(domains)),
    }
    rows = _example_divisions(code, name, levels, nested)
    files = {
        "city.toml": Template(patterns.CITY).substitute(words),
        "divisions.csv": "code,name,level,parent_code\n" + "".join(",".join(map(_field, row)) + "\n" for row in rows),
        "departments.toml": Template(patterns.DEPARTMENTS).substitute(words),
        "industries.toml": Template(patterns.INDUSTRIES).substitute(words),
        "calendar.csv": patterns.CALENDAR,
        "boundaries/README.md": patterns.BOUNDARIES,
    }
    for level in levels if box else ():
        files[f"boundaries/{level}.geojson"] = _example_polygons(level, rows, box)
    _write(folder, files)
    return [*(f"wrote {folder / each}" for each in files), f"next: citybrain check --city {folder}"]


def new_domain(folder: Path, *, name: str, name_en: str, duty: str) -> list[str]:
    """The same for a domain; its code is the folder's name. Inside a city's pack it is data alone."""
    code, pack = folder.name, folder.parent.parent
    of_pack = folder.parent.name == OF_PACK and (pack / "city.toml").is_file()
    mistakes = _not_empty(folder)
    if not re.fullmatch("[a-z][a-z0-9_]*", code):
        what = f"a code of small letters, digits and _, such as {re.sub('[^a-z0-9_]', '', code.lower()) or 'market'}"
        mistakes.append(Mistake(str(folder), "the folder's name, which is the domain's code", what))
    _refuse(mistakes)
    words = {"code": code, "duty": duty or code}
    texts = {"name": json.dumps(name, ensure_ascii=False), "name_en": json.dumps(name_en), "plain": name_en}
    files = {MANIFEST: Template(patterns.DOMAIN).substitute(words | texts)}
    if not of_pack:
        files |= {HANDLER: Template(patterns.HANDLER).substitute(words | texts), "__init__.py": ""}
    _write(folder, files)
    check = f"citybrain check --city {pack}" if of_pack else f"CITYBRAIN_DOMAINS={folder} citybrain check"
    return [*(f"wrote {folder / each}" for each in files), f"next: {check}"]


def _refuse(mistakes: list[Mistake]) -> None:
    if mistakes:
        raise Mistakes(mistakes)


def _not_empty(folder: Path) -> list[Mistake]:
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        return [Mistake(str(folder), "the folder", "one that does not exist yet or is empty; nothing was written")]
    return []


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _level_line(level: str, name: str) -> str:
    shown = json.dumps(name, ensure_ascii=False)
    return f"{level} = {{ name = {shown}, name_en = {shown} }}"


def _example_divisions(code: str, name: str, levels: Mapping[str, str], nested: bool) -> list[Row]:
    """The city and one division a level, each in the one above, or all in the city where levels do not nest."""
    rows = [(code, name, "city", "")]
    for level, named in levels.items():
        if level != "cell":
            above = rows[-1][0] if nested else code
            rows.append((f"{level[0].upper()}1", f"{named} 1", level, above))
    return rows


def _example_polygons(level: str, rows: Sequence[Row], box: Box | None) -> str:
    west, south, east, north = box or (0, 0, 0, 0)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    named = [{"code": row[0], "name": row[1]} for row in rows if row[2] == level] or [{"code": "X1", "name": "X1"}]
    features = [
        {
            "type": "Feature",
            "properties": {**each, "source": "generated"},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for each in named
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=1) + "\n"


def _field(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if re.search('[",\n]', text) else text


def _utm(box: Box) -> str:
    """The UTM zone of the middle: metres good enough for any city that has no grid of its own."""
    lng, lat = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return f"EPSG:{(32600 if lat >= 0 else 32700) + min(int((lng + 180) // 6) + 1, 60)}"
