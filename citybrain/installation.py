"""What every process of one installation shares: its configuration, city, domains, store and time."""

import gc
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from threading import Lock

import geo
from citybrain.city import City, load_city
from citybrain.clock import Clock, now_ms, to_datetime
from citybrain.config import Config
from citybrain.domain import Domain, load_domains
from citybrain.identity import identity
from citybrain.queue import Bells, Ringer
from citybrain.remedies import remedies_of
from citybrain.routing.catalogue import EventType
from citybrain.routing.context import Context
from citybrain.routing.responsibility import Responsibility
from citybrain.routing.search import TypeIndex
from citybrain.routing.vacancy import ResponsibilityMap
from citybrain.store.database import Store
from citybrain.store.editions import fetch, in_use_in
from citybrain.store.timekeeping import StoreClock
from geo.edition import file_of, stored_file
from geo.locator import Locator
from geo.pieces import pieces

GARBAGE = 300_000  # objects more than before: about what a batch makes
log = logging.getLogger(__name__)


@dataclass
class Installation:
    """`locator` reads the city's ground at first use: only processes that locate pay for it."""

    config: Config
    city: City
    domains: Mapping[str, Domain]
    store: Store
    ringer: Ringer
    broker_url: str = ""
    clock: Clock = now_ms
    opened_at: int = field(default_factory=now_ms)
    _map: tuple[Locator, ResponsibilityMap] | None = field(default=None, repr=False)
    _stored: dict[str, Locator] = field(default_factory=dict, repr=False)
    _reading: Lock = field(default_factory=Lock, repr=False)

    def go_by_the_store(self) -> None:
        """For processes that run for long: what time it is, the store says."""
        kept = StoreClock(self.store)
        kept.keep()
        self.clock = kept

    @cached_property
    def locator(self) -> Locator:
        """Of the edition in use. A batch takes it once, and so is located under one edition and names it."""
        found = self.locator_of(self.edition_in_use())
        if found is None:
            raise RuntimeError(f"the store has no content of the edition in use, {self.edition_in_use()}")
        return found

    def edition_in_use(self) -> str:
        """By the store, where there is one; else the city pack's own."""
        return in_use_in(self.store) or self.city.own_edition

    def take_up(self) -> None:
        """From now on locates by the edition that is in use, if it is another one: the new ground is read beside the
        old one, and taken between two batches."""
        wanted = self.edition_in_use()
        if wanted != self.locator.edition.id and (found := self.locator_of(wanted)):
            self.locator = found
            log.info("located by edition %s from now on", wanted)

    def locator_of(self, edition: str) -> Locator | None:
        """The locator of any edition that is in use, in the data folder, or in the store."""
        present: Locator | None = vars(self).get("locator")
        if present is not None and edition == present.edition.id:
            return present
        with self._reading:
            found = self._stored.get(edition) or self._read(edition)
            if found is not None:
                self._stored = {edition: found}  # one at a time: ground is large
        return found

    def edition_file(self, edition: str) -> Path | None:
        """The file with an edition's content, fetched from the store if it is not here."""
        folder = self.config.data / "editions"
        if not (found := stored_file(folder, edition)) and self._read(edition) is not None:
            found = stored_file(folder, edition)
        return found

    def _read(self, edition: str) -> Locator | None:
        folder = self.config.data / "editions"
        if found := self.city.stored_locator(folder, edition):
            return found
        if edition == self.city.own_edition:
            return self.city.locator(folder)
        if fetch(self.store, edition, folder / file_of(edition)):
            return self.city.stored_locator(folder, edition)
        return None

    @cached_property
    def responsibility(self) -> Responsibility:
        return Responsibility(self.city.departments.values())

    def responsibility_map(self) -> ResponsibilityMap:
        """Of the present edition; kept until there is another."""
        locator = self.locator
        if self._map is None or self._map[0] is not locator:
            catalogues = [domain.catalogue for domain in self.domains.values()]
            self._map = locator, ResponsibilityMap(catalogues, self.responsibility, pieces(locator))
        return self._map[1]

    @cached_property
    def type_index(self) -> TypeIndex:
        return TypeIndex(domain.catalogue for domain in self.domains.values())

    @cached_property
    def remedies(self) -> Mapping[str, str]:
        """By kind of error, with this city's own examples."""
        return remedies_of(self.city)

    @cached_property
    def inhibitors(self) -> Mapping[str, Mapping[str, str]]:
        """By type: the types whose open cases keep it from being dispatched, each with the level of their area."""
        found: dict[str, dict[str, str]] = {}
        rows = (kind.row for domain in self.domains.values() for kind in domain.catalogue.types.values())
        for row in rows:
            for inhibited in row.inhibits:
                found.setdefault(inhibited, {})[row.code] = row.children or row.level
        return found

    def context(self, domain: str, now: int) -> Context:
        return Context(self.domains[domain].catalogue, self.responsibility, to_datetime(now))

    def basis(self, domain: str) -> dict[str, str]:
        """What a decision in this domain is based on, besides the event and its place; each by version or hash."""
        return {"software": software(), "rules": self.domains[domain].rules, **self.city.basis}

    def responsible(self, domain: str, type_: str | None, codes: Mapping[str, str | None]) -> str | None:
        """The department that leads for this type at these codes, if the rules name one."""
        kind = self.type_of(domain, type_)
        if kind is None:
            return None
        return self.responsibility.assign(kind.duty, (), domain, kind.row.level, codes).lead

    def type_of(self, domain: str, code: str | None) -> EventType | None:
        known = self.domains.get(domain)
        return known.catalogue.types.get(code) if known and code else None


@cache
def software() -> str:
    """This program's version, and a hash of the part of it that locates, routes and reckons deadlines."""
    here = Path(__file__).parent
    deciding = [*here.joinpath("routing").glob("*.py"), here / "deadline.py", *Path(geo.__file__).parent.glob("*.py")]
    return f"{version('citybrain')} {identity([path.read_text(encoding='utf-8') for path in sorted(deciding)])}"


def keep_for_good() -> None:
    """What a process has loaded by now stays as long as it lives: the garbage collector need not go through it again,
    nor through every batch of a thousand events, which would be a tenth of their cost."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 10, 10)


def open_installation(config: Config, broker_url: str) -> Installation:
    """Reads the packs (raises `Mistakes`) and opens the store and the bells."""
    city = load_city(config.city, config.public_url)
    allow = (*config.webhook_allow, *city.file.webhooks.allow)
    config = replace(config, webhook_allow=allow)
    domains = {code: domain for code, domain in load_domains(pack=config.city).items() if city.uses(code)}
    return Installation(config, city, domains, Store(config.database_url), Ringer(Bells(broker_url)), broker_url)
