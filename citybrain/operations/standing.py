"""What stands in the record at one moment, as figures: what waits, what is late, what needs a person. Only questions
that an index of what is in work answers, so that they cost the same whatever lies behind."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import ColumnElement, Connection, func, select, text

from citybrain.casework.case import Status
from citybrain.casework.reading import TICKING
from citybrain.dispatch.delivery import held_count
from citybrain.dispatch.queues import QUEUES, stuck
from citybrain.installation import Installation
from citybrain.store.database import now_ms
from citybrain.store.dispatch_tables import STILL_PENDING, UNSENT, deliveries, endpoints
from citybrain.store.ledger_tables import roots
from citybrain.store.tables import IN_WORK, UNSETTLED, cases, events, leases

SOON_MS = 3_600_000

# An expression, so that nobody counts in the order of an index of everything.
TO = func.coalesce(deliveries.c.endpoint_id, "")
Figures = list[tuple[tuple[str, ...], float]]


def standing(tx: Connection, here: Installation) -> Iterator[Metric]:
    now = here.clock()
    yield from _events(tx, here, now)
    yield from _cases(tx, here, now)
    yield from _deliveries(tx, now)
    yield from _endpoints(tx)
    yield from _stuck(tx, here, now)
    yield from _ledger(tx)
    acting, until = tx.execute(
        select(func.count(), func.max(leases.c.lease_until)).where(leases.c.lease_until > now_ms())
    ).one()
    yield gauge("citybrain_patrols_acting", "Patrols that hold the lease: one, or nobody rings again.", acting)
    end = "citybrain_patrol_lease_end_timestamp_seconds"
    yield gauge(end, "Until when the acting patrol holds it; every round renews it.", (until or 0) / 1000)


def gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def gauges(name: str, help_: str, labels: tuple[str, ...], values: Figures) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=labels)
    for codes, value in values:
        family.add_metric(codes, value)
    return family


def _events(tx: Connection, here: Installation, now: int) -> Iterator[Metric]:
    division = events.c[here.city.first_level]
    asked = (
        select(events.c.state, events.c.domain, division, func.count(), func.min(events.c.received_at))
        .where(UNSETTLED, events.c.state.in_(("received", "quarantined")))
        .group_by(events.c.state, events.c.domain, division)
    )
    waiting: Figures = []
    quarantined: Figures = []
    oldest = dict.fromkeys(here.domains, now)
    for state, domain, code, number, since in tx.execute(asked):
        if state == "received":
            waiting.append(((domain, code or ""), number))
            oldest[domain] = min(oldest.get(domain, now), since)
        else:
            quarantined.append(((domain, code or ""), number))
    where = ("domain", "division")
    yield gauges("citybrain_waiting_events", "Events that no handler has decided yet.", where, waiting)
    ages: Figures = [((domain,), max(0, now - since) / 1000) for domain, since in sorted(oldest.items())]
    yield gauges("citybrain_waiting_oldest_age_seconds", "How long the oldest of them waits.", ("domain",), ages)
    yield gauges("citybrain_quarantined_events", "Events that a person must look at 隔离.", where, quarantined)


def _cases(tx: Connection, here: Installation, now: int) -> Iterator[Metric]:
    division = cases.c[here.city.first_level]
    ticking = cases.c.status.in_(sorted(TICKING))

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count().filter(condition)

    late, soon = ticking & (cases.c.due_at < now), ticking & cases.c.due_at.between(now, now + SOON_MS)
    asked = (
        select(
            cases.c.domain, cases.c.status, division, func.count(), number(late), number(soon),
            number(cases.c.stage_due_at < now),
        )
        .where(IN_WORK).group_by(cases.c.domain, cases.c.status, division).order_by(cases.c.domain, cases.c.status)
    )  # fmt: skip
    rows = tx.execute(asked).all()
    triage: Figures = [((row[0], row[2] or ""), row[3]) for row in rows if row[1] == Status.TRIAGE]
    by_status: Figures = [
        (key, sum(row[3] for row in some)) for key, some in groupby(rows, lambda row: (row[0], row[1]))
    ]
    yield gauges("citybrain_open_cases", "Cases in work.", ("domain", "status"), by_status)
    yield gauges(
        "citybrain_triage_cases", "Cases that wait for a person to decide 待分拨.", ("domain", "division"), triage
    )
    for name, help_, column in (
        ("citybrain_overdue_cases", "Cases whose handling clock has run out.", 4),
        ("citybrain_due_cases", "Cases whose handling clock runs out within the hour.", 5),
        ("citybrain_overdue_stages", "Cases that the centre itself accepts or dispatches too late.", 6),
    ):
        late_in = dict.fromkeys(here.domains, 0)
        for row in rows:
            late_in[row[0]] = late_in.get(row[0], 0) + row[column]
        yield gauges(name, help_, ("domain",), [((domain,), number) for domain, number in late_in.items()])


def _deliveries(tx: Connection, now: int) -> Iterator[Metric]:
    names = named(tx)
    asked = select(TO, func.count(), func.min(deliveries.c.created_at)).where(STILL_PENDING).group_by(TO)
    pending = [(names.get(id_, ""), number, since) for id_, number, since in tx.execute(asked)]
    endpoint = ("endpoint",)
    counts: Figures = [((name,), count) for name, count, _ in pending]
    yield gauges(
        "citybrain_pending_deliveries", "Messages on their way, or waiting for their next try.", endpoint, counts
    )
    ages: Figures = [((name,), max(0, now - since) / 1000) for name, _, since in pending]
    yield gauges("citybrain_pending_oldest_age_seconds", "How long the oldest of them waits.", endpoint, ages)
    held: Figures = [((reason,), number) for reason, number in sorted(held_count(tx).items())]
    help_ = "Messages held back: no_endpoint 缺对接端点, or a disabled one."
    yield gauges("citybrain_held_deliveries", help_, ("reason",), held)
    failed = select(TO, func.count()).where(UNSENT, deliveries.c.status == "failed").group_by(TO)
    given_up: Figures = [((names.get(id_, ""),), count) for id_, count in tx.execute(failed)]
    yield gauges("citybrain_failed_deliveries", "Messages given up after all tries.", endpoint, given_up)


def named(tx: Connection) -> Mapping[str, str]:
    """The endpoints, deleted ones too; asked apart: SQLite would go through all that each of them ever got."""
    return {row.id: row.name for row in tx.execute(select(endpoints.c.id, endpoints.c.name))}


def _endpoints(tx: Connection) -> Iterator[Metric]:
    known = tx.execute(select(endpoints).where(endpoints.c.deleted_at.is_(None)).order_by(endpoints.c.name)).all()
    label = ("endpoint",)
    enabled: Figures = [((row.name,), row.enabled) for row in known]
    failures: Figures = [((row.name,), row.failures) for row in known]
    answered: Figures = [((row.name,), (row.succeeded_at or 0) / 1000) for row in known]
    yield gauges("citybrain_endpoint_enabled", "1, or 0 for one that is switched off.", label, enabled)
    yield gauges("citybrain_endpoint_failures", "Failed attempts since its last success.", label, failures)
    unreachable: Figures = [((row.name,), row.opened_at is not None) for row in known]
    yield gauges("citybrain_endpoint_unreachable", "1 while its breaker is open: probes only.", label, unreachable)
    last = "citybrain_endpoint_last_success_timestamp_seconds"
    yield gauges(last, "When it last answered 2xx; 0 for never.", label, answered)


def _stuck(tx: Connection, here: Installation, now: int) -> Iterator[Metric]:
    late = Counter(each.queue for each in stuck(tx, here.city.file.webhooks.patience) if each.due_at < now)
    help_ = "Endpoints, and departments without one, whose messages wait for longer than the city has patience."
    yield gauges("citybrain_stuck_queues", help_, ("queue",), [((queue,), late[queue]) for queue in QUEUES])


def _ledger(tx: Connection) -> Iterator[Metric]:
    """Its rows are never deleted, so that SQLite's last number is their count; PostgreSQL knows it by ANALYZE."""
    counted = "SELECT max(rowid) FROM ledger"
    if tx.dialect.name == "postgresql":
        counted = (
            "SELECT sum(greatest(reltuples, 0)) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = 'ledger'::regclass"
        )
    entries = tx.execute(text(counted)).scalar() or 0
    yield gauge("citybrain_ledger_entries", "Entries of the ledger; about, on PostgreSQL.", float(entries))
    last = tx.execute(select(roots.c.number, roots.c.at).order_by(roots.c.number.desc()).limit(1)).first()
    yield gauge("citybrain_ledger_root_number", "The number of the ledger's last root.", last.number if last else 0)
    at = "citybrain_ledger_root_timestamp_seconds"
    yield gauge(at, "When it was made; nothing is made where nothing was decided.", (last.at if last else 0) / 1000)
