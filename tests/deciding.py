"""What tests of recomputed decisions share: a decision made, told again, and packs changed as after a restart."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desk import Desk

from citybrain.casework.explaining import explanation_of
from citybrain.city import City, load_city
from citybrain.config import BUILTIN_CITY
from citybrain.console.case import verdict
from citybrain.domain import Domain, Folder, load_folder

SMOKE = {"device_id": "d1", "states": ["fire"], "component_type": 40, "running": True}
OUTSIDE = {"lng": 113.26, "lat": 23.13}
MIDDLE = {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"}


def decided(desk: Desk, report: dict[str, Any]) -> str:
    event_id = desk.report(report)[0]
    desk.handle(report["domain"])
    return event_id


def told(desk: Desk, event_id: str) -> dict[str, Any]:
    return explanation_of(desk.event(event_id), desk.here)


def parts(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {each["part"]: each["because"] for each in answer["differences"]}


def lines(desk: Desk, answer: dict[str, Any], domain: str) -> str:
    """What the event's page says of it."""
    said = verdict.of(answer, domain, desk.here)
    assert said is not None
    return "\n".join([said.head, *said.lines, *said.notes])


def another_domain(folder: Path, code: str, change: Callable[[str], str], handler: str = "") -> Domain:
    """The domain's folder copied, its manifest and handler changed."""
    shutil.copytree(Path("domains") / code, folder / code)
    manifest, own_handler = folder / code / "domain.toml", folder / code / "handler.py"
    manifest.write_text(change(manifest.read_text()))
    own_handler.write_text(own_handler.read_text() + handler)
    domain, mistakes = load_folder(Folder(folder / code, f"citybrain_domain_{folder.name}_{code}", "named"))
    assert mistakes == []
    assert domain is not None
    return domain


def another_city(folder: Path, name: str, change: Callable[[str], str]) -> City:
    pack = folder / "pack"
    shutil.copytree(BUILTIN_CITY, pack)
    (pack / name).write_text(change((pack / name).read_text()))
    return load_city(pack)


def use(desk: Desk, city: City | None = None, **domains: Domain) -> None:
    """As after a restart on other packs."""
    vars(desk.here).pop("responsibility", None)
    desk.here.domains = dict(desk.here.domains) | domains
    desk.here.city = city or desk.here.city


def replaced(before: str, after: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert before in text
        return text.replace(before, after, 1)

    return change
