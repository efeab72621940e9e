"""`citybrain check`: are the packs right, and does the store keep what it promises. One line a finding or a count."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, exists, func, select

from citybrain.casework.case import ACTIVE_ORDERS, Status
from citybrain.city import City, check_city, check_ground
from citybrain.clock import Clock, now_ms
from citybrain.commands.ledgercheck import altered_cases, broken_chains, seen_by
from citybrain.config import Config
from citybrain.dispatch.address import AllowList
from citybrain.domain import Domain, check_domains, find_folders
from citybrain.indicators.snapshots import differing
from citybrain.routing.proof import prove_examples
from citybrain.routing.responsibility import Responsibility, unassigned
from citybrain.store.coverage_tables import coverage_snapshots
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import deliveries, endpoints
from citybrain.store.lanes import in_lanes_of
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events, work_orders
from geo.mistake import Mistake, Mistakes, did_you_mean

KEPT = "a running service keeps the packs it was started with; start it again to take these"
SHOWN = 5  # offenders named behind a count
STATES = ("received", "triage", "cased", "quarantined")


def check_packs(config: Config) -> tuple[list[str], bool]:
    domains, wrong = check_domains(pack=config.city)
    installed = {folder.path.name for folder in find_folders(os.environ, config.city)}  # broken ones included
    city, mistakes = check_pack(config.city, installed)
    ground = check_ground(config.city)
    off = city.file.domains.off if city else ()
    mistakes += [*ground, *wrong, *_unknown_types(domains), *prove_examples(domains, off)]
    used = {code: domain for code, domain in domains.items() if code not in off}
    lines = []
    if city is not None:
        try:
            edition = city.edition(config.data / "editions") if not ground and len(city.divisions) else None
            layers = edition.layers.items() if edition else ()
            lines += [f"{city.level_in_english(level)}: {len(layer)} polygons" for level, layer in layers]
        except Mistakes as error:
            mistakes += error.mistakes
        lines += _unknown_domains(city, domains)
        catalogues = [domain.catalogue for domain in used.values()]
        missing = unassigned(catalogues, Responsibility(city.departments.values()), city.divisions)
        lines += [f"no department: {type_} in {division}" for type_, division in missing[:SHOWN]]
        lines.append(f"types without a department somewhere: {len({type_ for type_, _ in missing})}")
        lines.append(f"departments: {len(city.departments)}, divisions: {len(city.divisions)}")
    lines += [_counted(domain, config.city) for domain in used.values()]
    lines += [f"mistake: {mistake}" for mistake in mistakes]
    lines.append("all packs are right" if not mistakes else f"{len(mistakes)} mistakes")
    lines.append(KEPT)
    return lines, not mistakes


def _counted(domain: Domain, pack: Path) -> str:
    types = domain.catalogue.types.values()
    own = " (the city pack's own)" if pack in domain.folder.parents else ""
    return f"{domain.code}: {len(types)} types, {sum(len(kind.row.examples) for kind in types)} examples{own}"


def check_pack(folder: Path, domains: Collection[str] | None = None) -> tuple[City | None, list[Mistake]]:
    """The city and every mistake in its files, the networks that webhooks may reach included."""
    city, mistakes = check_city(folder, domains=domains)
    for number, entry in enumerate(city.file.webhooks.allow if city else (), start=1):
        try:
            AllowList.parse([entry])
        except ValueError as error:
            mistakes.append(Mistake("city.toml", f"webhooks.allow[{number}]", str(error)))
    return city, mistakes


def _unknown_types(domains: Mapping[str, Domain]) -> Iterator[Mistake]:
    """Types that a warning inhibits: they may be another domain's, but not nobody's."""
    known = {code for domain in domains.values() for code in domain.catalogue.types}
    for domain in domains.values():
        for kind in domain.catalogue.types.values():
            for code in kind.row.inhibits:
                if code not in known and (code.partition(".")[0] in domains or "." not in code):
                    file = str(domain.folder / domain.manifest.file_of(kind.code))
                    yield Mistake(
                        file, f"type {kind.code}, inhibits", f"a type, found {code}{did_you_mean(code, known)}"
                    )


def _unknown_domains(city: City, domains: Mapping[str, Domain]) -> list[str]:
    """Not a mistake: a city may name a domain that this installation does not have."""
    named = {code for department in city.departments.values() for code in department.domains}
    missing = sorted(named - set(domains))
    return [f"no such domain here: {code}, departments name it{did_you_mean(code, domains)}" for code in missing]


def check_store(config: Config, root: Path | None = None) -> tuple[list[str], bool]:
    """`root`: a file of exported roots of the ledger to hold the store against; raises WrongRoots for what is none."""
    store = Store(config.database_url, patient=True)
    good = True
    lines = []
    with store.read() as tx:
        counted = (events, cases, work_orders, deliveries, ledger)
        lines += [f"{each.name}: {tx.execute(select(func.count()).select_from(each)).scalar_one()}" for each in counted]
        for promise, broken in [*_promises(tx), *_ledger(tx, root), *_recomputed(tx, config)]:
            good = good and not broken
            named = f": {', '.join(broken[:SHOWN])}" if broken else ""
            lines.append(f"{promise}: {'yes' if not broken else f'BROKEN {len(broken)} times'}{named}")
    store.close()
    return lines, good


def _promises(tx: Connection) -> Iterator[tuple[str, list[str]]]:
    """Each promise with the ids that break it."""

    def ids(query: Select[Any]) -> list[str]:
        return [str(row[0]) for row in tx.execute(query)]

    def without(table: FromClause, match: ColumnElement[bool]) -> ColumnElement[bool]:
        return ~exists(select(table).where(match))  # PostgreSQL takes hours over NOT IN with a million rows

    nobodys = without(cases, cases.c.id == events.c.case_id)
    with_case = events.c.state.in_(("cased", "triage"))
    yield "every event is in exactly one state", ids(select(events.c.id).where(events.c.state.not_in(STATES)))
    yield (
        "every handled event has its case, every other one none",
        ids(select(events.c.id).where(with_case & nobodys))
        + ids(select(events.c.id).where(~with_case & events.c.case_id.isnot(None))),
    )
    astray = (events.c.state == "triage") & (cases.c.status != Status.TRIAGE)
    astray |= (events.c.state == "cased") & (cases.c.status == Status.TRIAGE)
    joined = select(events.c.id).join(cases, cases.c.id == events.c.case_id)
    yield "an event waits in triage exactly as long as its case", ids(joined.where(astray))
    counted = select(events.c.case_id, func.count().label("number")).group_by(events.c.case_id).subquery()
    differs = func.coalesce(counted.c.number, 0) != cases.c.event_count
    yield (
        "every case has the events that it counts",
        ids(select(cases.c.number).join(counted, counted.c.case_id == cases.c.id, isouter=True).where(differs)),
    )
    unwritten = without(ledger, ledger.c.chain == cases.c.id)
    yield "every case has a ledger", ids(select(cases.c.number).where(unwritten))
    yield (
        "every work order has a delivery, or a visible lack of one",
        ids(
            select(work_orders.c.id)
            .join(deliveries, deliveries.c.work_order_id == work_orders.c.id, isouter=True)
            .where(deliveries.c.id.is_(None))
        ),
    )
    leaderless = without(work_orders, (work_orders.c.case_id == cases.c.id) & (work_orders.c.role == "lead"))
    begun = cases.c.status.not_in((Status.TRIAGE, Status.FILED, Status.VOID, Status.SUSPENDED))
    yield "every dispatched case has a lead", ids(select(cases.c.number).where(begun, leaderless))
    leading = (work_orders.c.role == "lead") & work_orders.c.status.in_(ACTIVE_ORDERS)
    doubled = select(work_orders.c.case_id).where(leading).group_by(work_orders.c.case_id).having(func.count() > 1)
    yield "no case has two leads at work", ids(doubled)
    astray = (deliveries.c.status == "pending") & ~in_lanes_of(deliveries, deliveries.c.endpoint_id)
    yield "every delivery that is due stands in a lane of its endpoint", ids(select(deliveries.c.id).where(astray))
    astray = (events.c.state == "received") & ~in_lanes_of(events, events.c.domain)
    yield "every event that is due stands in a lane of its domain", ids(select(events.c.id).where(astray))
    nowhere = deliveries.c.endpoint_id.is_(None) & (deliveries.c.status != "held")
    nowhere |= deliveries.c.endpoint_id.isnot(None) & deliveries.c.endpoint_id.not_in(select(endpoints.c.id))
    yield "every delivery has an endpoint or is held for one", ids(select(deliveries.c.id).where(nowhere))


def _ledger(tx: Connection, root: Path | None) -> Iterator[tuple[str, list[str]]]:
    seen = seen_by(tx, root)
    whole, differing = broken_chains(tx, seen)
    yield "every chain of the ledger is whole", whole
    yield "every case is as its ledger left it", list(altered_cases(tx))
    whose = f"of {root.name} saw" if root else "saw"
    yield f"the ledger holds what its {seen.number} roots {whose}, and nothing older", differing


@dataclass(frozen=True)
class Packs:
    city: City
    domains: Mapping[str, Domain]
    opened_at: int
    clock: Clock = now_ms


def _recomputed(tx: Connection, config: Config) -> Iterator[tuple[str, list[str]]]:
    """Nothing where the city pack cannot be read: `citybrain check` says what is wrong there."""
    if tx.execute(select(coverage_snapshots.c.day).limit(1)).first() is None:
        return  # reading the packs takes longer than all the other promises of a small store
    city, _ = check_city(config.city)
    if city is not None:
        domains = {code: domain for code, domain in check_domains(pack=config.city)[0].items() if city.uses(code)}
        broken = differing(tx, Packs(city, domains, now_ms()), date.min, date.max)
        yield "every snapshot of coverage is what the record gives", broken
