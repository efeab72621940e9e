"""Every table of the record. Times are milliseconds since 1970 UTC; ids are time-ordered (UUIDv7) texts.

On PostgreSQL the tables that grow with every event are partitioned by month, which their ids begin with
(`partitions`), so that a primary key is still the id alone.
"""

from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    literal_column,
    text,
)

metadata = MetaData()
Id = Text().with_variant(Text(collation="C"), "postgresql")  # sorts by bytes, as time does


class Json(TypeDecorator[Any]):
    """JSON kept as text: the same on both stores, written once and read back unchanged."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


def where_columns() -> list[Column[Any]]:
    """The located levels, as columns, because every scope predicate and every queue reads them."""
    return [Column(level, Text) for level in ("county", "town", "village", "cell")]


def claim_columns() -> list[Column[Any]]:
    """What a claim needs: when the row is due, until when it is held, whose turn it is, how often it was tried."""
    return [
        Column("due_at", BigInteger, nullable=False),
        Column("lease_until", BigInteger, nullable=False, server_default=text("0")),
        Column("fence", Integer, nullable=False, server_default=text("0")),
        Column("tries", Integer, nullable=False, server_default=text("0")),
    ]


def lane_column() -> Column[Any]:
    """The line in which the row waits for a claim: see `store.lanes`."""
    return Column("lane", Id, nullable=False, server_default=text("''"))


events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Text, nullable=False),
    Column("source_event_id", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("type", Text),  # as posted; what the rules found stands in the explanation and on the case
    Column("grade", Integer),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("demo", Boolean, nullable=False),
    Column("state", Text, nullable=False),  # received, triage, cased, quarantined
    Column("case_id", Id),
    *where_columns(),
    Column("place", Json, nullable=False),
    Column("location", Json, nullable=False),  # as posted
    Column("attributes", Json, nullable=False),
    Column("explanation", Json),  # of the decision, as `routing.record` shortens it
    Column("trace", Text),  # why it was quarantined
    *claim_columns(),
    lane_column(),  # domain.gravity.county
    postgresql_partition_by="RANGE (id)",
)
_RECEIVED = text("state = 'received'")
Index("events_in_lanes", events.c.lane, events.c.due_at, sqlite_where=_RECEIVED, postgresql_where=_RECEIVED)
_UNSETTLED = "state <> 'cased'"
Index("events_unsettled", events.c.state, events.c.id, sqlite_where=text(_UNSETTLED), postgresql_where=text(_UNSETTLED))
UNSETTLED = text(f"events.{_UNSETTLED}")  # a partial index is used only where a query repeats its condition
Index("events_by_case", events.c.case_id)
Index("events_by_source", events.c.source, events.c.id)

receipts = Table(
    "receipts",  # which event stands under a source's id; apart, since months of events could not be unique together
    metadata,
    Column("source", Text),
    Column("source_event_id", Text),
    Column("event_id", Id, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),  # SHA-256 of the canonical JSON: the same again, or a conflict
    PrimaryKeyConstraint("source", "source_event_id"),
    sqlite_with_rowid=False,
)

reporters = Table(
    "reporters",  # personal data, apart from the event so that retention may erase it
    metadata,
    Column("event_id", Id, ForeignKey("events.id"), primary_key=True),
    Column("name", Text),
    Column("phone", Text),
)

cases = Table(
    "cases",
    metadata,
    Column("id", Id, primary_key=True),
    Column("number", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("domain", Text, nullable=False),
    Column("type", Text),
    Column("grade", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("demo", Boolean, nullable=False),
    Column("lead", Text),  # the department that leads 主办
    *where_columns(),
    Column("place", Json, nullable=False),
    Column("triage_reason", Text),
    # What further reports of the same thing have too, by each rule of its type.
    Column("merge_key", Text),
    Column("merged_into", Id),
    Column("event_count", Integer, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    # The handling clock: an absolute due time, or what was left of it when it was stopped.
    Column("limit_amount", Float),
    Column("limit_unit", Text),
    Column("started_at", BigInteger),
    Column("due_at", BigInteger),
    Column("left_seconds", BigInteger),
    Column("suspended_from", Text),  # the status to come back to
    Column("suspended_until", BigInteger),
    Column("extensions", Integer, nullable=False, server_default=text("0")),
    # The head of the case's ledger chain: the next entry needs no read of the ledger.
    Column("entries", Integer, nullable=False),
    Column("head", Text, nullable=False),
    Column("returns", Integer, nullable=False, server_default=text("0")),
    Column("reworks", Integer, nullable=False, server_default=text("0")),
    Column("appeals_open", Integer, nullable=False, server_default=text("0")),
    Column("supervision", Integer, nullable=False, server_default=text("0")),  # thresholds passed
    Column("appointed", Boolean, nullable=False, server_default=text("false")),  # 指定主办: the lead may not return it
    # The centre's own clock, acceptance or dispatch by the status.
    Column("stage_supervised", Boolean, nullable=False, server_default=text("false")),
    Column("stage_due_at", BigInteger),
    Column("look_at", BigInteger),  # when patrol looks at it next
    # How it belongs together with others.
    Column("last_event_at", BigInteger),  # when the last report was opened or joined
    Column("lng", Float),  # of `place`, for what lies near
    Column("lat", Float),
    Column("related_to", Id),  # the case of the same thing that was reported done before
    Column("parent_id", Id),  # of the area that this is a part of
    # Why nobody was dispatched: a silence 静默, or the case of a warning that inhibits 抑制 this one.
    Column("silence_id", Id),
    Column("inhibited_by", Id),
    Column("asked", Json),  # an extension or a suspension that waits for an answer: what, until when, why, who, when
    Column("second_key", Text),
)
for _key in ("merge_key", "second_key"):
    _merging = text(f"{_key} IS NOT NULL")
    Index(
        f"cases_by_{_key}",
        cases.c.domain,
        cases.c[_key],
        cases.c.status,
        sqlite_where=_merging,
        postgresql_where=_merging,
    )
# What a city has in work stays about the same, whatever lies behind it: every question about it has such an index.
_IN_WORK = "status NOT IN ('closed', 'void')"
IN_WORK = text(f"cases.{_IN_WORK}")
# Overdue first, then the soonest; a clock that was stopped presses nobody.
_PRESSING = "CASE WHEN {0}status IN ('dispatched', 'accepted', 'returned') THEN coalesce({0}due_at, {1}) ELSE {1} END"
PRESSING: ColumnElement[int] = literal_column(f"({_PRESSING.format('cases.', 2**53)})", BigInteger)
Index(
    "cases_in_work", cases.c.status, cases.c.id, sqlite_where=text(_IN_WORK), postgresql_where=text(_IN_WORK)
)  # fmt: skip
Index(
    "cases_pressing", text(f"({_PRESSING.format('', 2**53)})"), cases.c.id,
    sqlite_where=text(_IN_WORK), postgresql_where=text(_IN_WORK),
)  # fmt: skip
Index("cases_by_place", cases.c.village, cases.c.town, cases.c.county, cases.c.domain)
Index("cases_updated", cases.c.updated_at, cases.c.id)
_LOOKED_AT = text("look_at IS NOT NULL")
Index("cases_to_look_at", cases.c.look_at, sqlite_where=_LOOKED_AT, postgresql_where=_LOOKED_AT)
Index("cases_near", cases.c.lat, cases.c.lng, sqlite_where=text(_IN_WORK), postgresql_where=text(_IN_WORK))
Index("cases_unended_by_type", cases.c.type, sqlite_where=text(_IN_WORK), postgresql_where=text(_IN_WORK))
_ASKED = text("asked IS NOT NULL")
Index("cases_asked", cases.c.id, sqlite_where=_ASKED, postgresql_where=_ASKED)
_CLOSED = text("closed_at IS NOT NULL")
Index("cases_closed", cases.c.closed_at, sqlite_where=_CLOSED, postgresql_where=_CLOSED)
for _link in ("related_to", "parent_id", "silence_id", "inhibited_by"):
    _linked = text(f"{_link} IS NOT NULL")
    Index(f"cases_by_{_link}", cases.c[_link], sqlite_where=_linked, postgresql_where=_linked)

work_orders = Table(
    "work_orders",
    metadata,
    Column("id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.id"), nullable=False),
    Column("role", Text, nullable=False),  # lead 主办, assist 协办
    Column("department", Text, nullable=False),
    Column("status", Text, nullable=False),  # sent, accepted, returned, completed, cancelled
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("completed_at", BigInteger),
    Column("due_at", BigInteger),
    Column("left_seconds", BigInteger),
    Column("reason", Text),  # of a return
    Column("responsible", Text),  # who the returning department thinks it is
    Column("limit_amount", Float),  # of its own; else it is due with the case
    Column("limit_unit", Text),
    Column("supervision", Integer, nullable=False, server_default=text("0")),  # thresholds passed of its own limit
)
Index("work_orders_by_case", work_orders.c.case_id)
for _when in ("completed_at", "due_at"):
    _known = text(f"{_when} IS NOT NULL")
    Index(f"work_orders_by_{_when}", work_orders.c[_when], sqlite_where=_known, postgresql_where=_known)

feedbacks = Table(
    "feedbacks",
    metadata,
    Column("work_order_id", Id, ForeignKey("work_orders.id"), nullable=False),
    Column("feedback_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("responsible", Text),
    Column("note", Text),
    Column("at", BigInteger),
    Column("received_at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("effect", Boolean, nullable=False),  # false: recorded, but too late to move anything
    Column("attachments", Json),  # ids of photos
    PrimaryKeyConstraint("work_order_id", "feedback_id"),
)
_COMPLETED = text("status = 'completed'")
Index("feedbacks_completed", feedbacks.c.received_at, sqlite_where=_COMPLETED, postgresql_where=_COMPLETED)

counters = Table(
    "counters",  # case numbers, a row a domain and day
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Integer, nullable=False),
)
leases = Table(
    "leases",  # what one process at a time does, and which one
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),  # host and process, for people
    Column("fence", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
)

stream = Table(
    "stream",  # what happened, in commit order once numbered
    metadata,
    Column("id", Id, primary_key=True),
    Column("position", BigInteger, unique=True),  # none until it is numbered: its index finds those too
    Column("at", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("event_id", Id),
    Column("case_id", Id),
    Column("source", Text),
    Column("domain", Text),
    *where_columns(),
    Column("data", Json, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("prefix", Text, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
    Column("role", Text, nullable=False),
    Column("domains", Json, nullable=False),
    Column("divisions", Json, nullable=False),
    Column("departments", Json, nullable=False),
    Column("datum", Text),
    Column("demo", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("duties", Json, nullable=False, server_default=text("'[]'")),  # empty: all that the role may
    Column("used_at", BigInteger),  # half a minute late at the most
)
sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("key_name", Text, ForeignKey("keys.name"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
retention = Table(
    "retention",  # how far each rule has come through the cases, in the order in which they were touched last
    metadata,
    Column("rule", Text, primary_key=True),
    Column("updated_at", BigInteger, nullable=False),
    Column("case_id", Id, nullable=False),
)
