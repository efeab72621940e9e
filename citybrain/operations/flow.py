"""What has passed since somebody last looked, as counters and histograms: read from the record, so that nobody on an
event's way counts anything, and every API process answers for the whole installation.

Changes are counted by their positions in the stream, of which none is skipped. Attempts and cases are looked at some
seconds late, when whatever is of that time is committed; their latencies are those of a sample.
"""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy import Connection, and_, case, func, literal, select

from citybrain.dispatch.sender import TIMEOUT_SECONDS
from citybrain.operations.standing import TO, named
from citybrain.store.dispatch_tables import ANSWERED, FAILED, attempts, deliveries
from citybrain.store.ids import earliest_id
from citybrain.store.tables import cases, events, stream

LATE_MS = round(1000 * TIMEOUT_SECONDS) + 5_000  # by then an attempt has ended and is recorded
LONGEST_MS = 300_000  # what is older when somebody looks is not counted: it would be dear, and is no news
POSITIONS = 200_000  # of the stream, likewise
SAMPLE = 1_000
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)


@dataclass
class _Seen:
    position: int
    until: int


class Flow:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._seen: _Seen | None = None
        self._changes = Counter(
            "citybrain_changes", "What happened, by the stream: event.received, case.dispatched …",
            ["type", "domain"], registry=registry,
        )  # fmt: skip
        self._attempts = Counter(
            "citybrain_attempts", "Attempts to deliver: delivered, refused (an answer other than 2xx), unanswered.",
            ["endpoint", "outcome"], registry=registry,
        )  # fmt: skip
        self._cased = Histogram(
            "citybrain_cased_seconds", "From the report to its case; a sample.", buckets=BUCKETS, registry=registry
        )
        self._delivered = Histogram(
            "citybrain_delivered_seconds", "From the report to the answer to its case's first message; a sample.",
            buckets=BUCKETS, registry=registry,
        )  # fmt: skip

    def look(self, tx: Connection, now: int) -> None:
        """The first look only remembers where it was."""
        last = tx.execute(select(func.coalesce(func.max(stream.c.position), 0))).scalar_one()
        before, self._seen = self._seen, _Seen(last, now - LATE_MS)
        if before is not None:
            since, until = max(before.until, self._seen.until - LONGEST_MS), self._seen.until
            self._count_changes(tx, max(before.position, last - POSITIONS), last)
            self._count_attempts(tx, since, until)
            self._time_cases(tx, since, until)
            self._time_messages(tx, since, until)

    def _count_changes(self, tx: Connection, after: int, until: int) -> None:
        inside = (stream.c.position > after) & (stream.c.position <= until)
        asked = select(stream.c.type, stream.c.domain, func.count()).where(inside)
        for type_, domain, number in tx.execute(asked.group_by(stream.c.type, stream.c.domain)):
            self._changes.labels(type_, domain or "").inc(number)

    def _count_attempts(self, tx: Connection, since: int, until: int) -> None:
        unanswered = case((attempts.c.status.is_(None), "unanswered"), else_="refused")
        names = named(tx)
        for condition, outcome in ((ANSWERED, literal("delivered")), (FAILED, unanswered)):
            joined = select(TO, outcome, func.count()).join_from(attempts, deliveries)
            asked = joined.where(condition, attempts.c.at > since, attempts.c.at <= until)
            for id_, how, number in tx.execute(asked.group_by(TO, outcome)):
                self._attempts.labels(names.get(id_, ""), how).inc(number)

    def _time_cases(self, tx: Connection, since: int, until: int) -> None:
        """Ids begin with their time, in milliseconds."""
        inside = (cases.c.id >= earliest_id(since + 1)) & (cases.c.id < earliest_id(until + 1))
        some = select(cases.c.id, cases.c.opened_at).where(inside).limit(SAMPLE).subquery()
        first = select(some.c.opened_at, func.min(events.c.received_at)).join_from(
            some, events, events.c.case_id == some.c.id
        )
        for opened, received in tx.execute(first.group_by(some.c.id, some.c.opened_at)):
            self._cased.observe(max(0, opened - received) / 1000)

    def _time_messages(self, tx: Connection, since: int, until: int) -> None:
        inside = (attempts.c.at > since) & (attempts.c.at <= until)
        ended = (attempts.c.at + attempts.c.duration_ms).label("ended")
        opening = and_(cases.c.id == deliveries.c.case_id, cases.c.opened_at == deliveries.c.created_at)
        some = (
            select(ended, deliveries.c.case_id)
            .join_from(attempts, deliveries)
            .join(cases, opening)
            .where(ANSWERED, inside)
            .limit(SAMPLE)
            .subquery()
        )
        answered = select(some.c.case_id, func.min(some.c.ended).label("ended")).group_by(some.c.case_id).subquery()
        first = select(answered.c.ended, func.min(events.c.received_at)).join_from(
            answered, events, events.c.case_id == answered.c.case_id
        )
        for at, received in tx.execute(first.group_by(answered.c.case_id, answered.c.ended)):
            self._delivered.observe(max(0, at - received) / 1000)
