"""`citybrain edition`: boundaries from files to use, on the command line."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy import true

from citybrain.clock import to_ms
from citybrain.editions import listing
from citybrain.editions.loading import load
from citybrain.editions.naming import ALL, day_of, given_files
from citybrain.editions.rerouting import dry_run, reroute
from citybrain.installation import Installation
from citybrain.problem import invalid
from geo.layer import Progress
from geo.mistake import did_you_mean

ACTOR = "command line"
SHOWN = 50  # faults that are printed; the report has more


def load_files(
    here: Installation, files: Sequence[str], fields: Sequence[str], kept: bool, texts: Mapping[str, Any]
) -> bool:
    """Prints what was found, and the edition's id where it was kept. Returns whether it has no errors."""
    known = [*here.city.levels, ALL]
    named = dict(_named(each, known) for each in files)
    said = {name: text for name, text in texts.items() if text}
    given = given_files(named, said, _mapping(fields))
    dated = day_of(said.get("date"), here)
    with _bars() as progress:
        report = load(here, given, name=said.get("name", dated), dated=dated, actor=ACTOR, progress=progress, kept=kept)
    for line in _lines(report):
        click.echo(line, err=kept)
    if kept:
        click.echo(report["id"])
    return bool(report["valid"])


def _named(given: str, known: Sequence[str]) -> tuple[str, tuple[Path, str]]:
    """`town=towns.zip`, or a file that is called by its level."""
    level, _, path = given.rpartition("=")
    level = level or Path(path).stem
    if level not in known:
        remedy = f"LEVEL=FILE with one of {', '.join(known)}{did_you_mean(level, known)}"
        raise invalid(given, f"{level!r} is no level of this city", remedy)
    if not Path(path).is_file():
        raise invalid(given, "no such file", "LEVEL=FILE")
    return level, (Path(path), Path(path).name)


def _mapping(fields: Sequence[str]) -> dict[str, Any]:
    """`code=XZQDM` for all files, `town.code=XZQDM` for one."""
    found: dict[str, Any] = {}
    for each in fields:
        name, _, column = each.partition("=")
        level, _, what = name.rpartition(".")
        (found.setdefault(level, {}) if level else found)[what] = column
    return found


@contextmanager
def _bars() -> Iterator[Progress]:
    """A bar a file and a step on a terminal, a line elsewhere."""
    bars: dict[str, Any] = {}

    def told(what: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            if what not in bars:
                click.echo(what, err=True)
            bars[what] = None
            return
        if what not in bars:
            for bar in bars.values():
                bar.render_finish()
            bars.clear()
            bars[what] = click.progressbar(length=max(total, 1), label=f"{what:<24}", file=sys.stderr)
        bars[what].update(done - bars[what].pos)

    yield told
    for bar in bars.values():
        if bar is not None:
            bar.render_finish()


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    for level, about in report["levels"].items():
        told = ", ".join(f"{name} {about[name]}" for name in ("file", "format", "crs", "encoding") if about.get(name))
        yield f"{level}: {about['polygons']} polygons{', ' + told if told else ''}"
    for item in report["items"][:SHOWN]:
        at = f" at {item['where']['lng']:.6f} {item['where']['lat']:.6f}" if item["where"] else ""
        size = f" ({item['area_m2']:,.0f} m2)" if item["area_m2"] is not None else ""
        named = ", ".join(str(part) for part in (item["level"], item["file"], item["code"]) if part)
        feature = f" feature {item['feature']}" if item["feature"] else ""
        yield f"{item['severity']}: {item['kind']}: {named}{feature}{at}: {item['what']}{size}; {item['remedy']}"
    counted = {word: sum(kinds.values()) for word, kinds in report["counts"].items()}
    if sum(counted.values()) > SHOWN:
        yield f"… {sum(counted.values()) - SHOWN} more"
    yield f"{counted['error']} errors, {counted['warning']} warnings; {report['rule']}"


def activate(here: Installation, id_: str) -> None:
    changed = listing.take(here, id_, ACTOR)
    click.echo(f"{id_} is in use{'' if changed else ' already'}; running services take it up within seconds")


def lines(here: Installation) -> Iterator[str]:
    for item in listing.listed(here):
        state = "in use" if item["in_use"] else "valid" if item["valid"] else "has errors"
        yield f"{item['id']}  {state:<10}  {item['loaded_at'] or '-'}  {item['name']}"


def show(here: Installation, id_: str) -> str:
    return _json(listing.report(here, id_))


def try_out(here: Installation, id_: str) -> str:
    present, locator = here.locator.edition.id, listing.locator(here, id_)
    return _json({"edition": id_, "in_use": present, **dry_run(here, locator, true()).as_dict()})


def reroute_past(here: Installation, id_: str, since: datetime) -> str:
    begin = since if since.tzinfo else since.replace(tzinfo=here.city.zone)

    def told(count: int) -> None:
        click.echo(f"{count} events", err=True)

    found = reroute(here, listing.locator(here, id_), true(), to_ms(begin), here.clock() + 1, told=told)
    return _json({"edition": id_, "since": begin.isoformat(), **found.as_dict()})


def mapping(here: Installation, old: str, new: str) -> str:
    return listing.mapping_csv(listing.locator(here, old), listing.locator(here, new))


def _json(answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=False, indent=2)
