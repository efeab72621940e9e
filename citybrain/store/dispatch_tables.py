"""Endpoints 对接端点, deliveries 推送 and their attempts."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from citybrain.store.tables import Id, Json, claim_columns, lane_column, metadata, where_columns

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("department", Text),
    Column("url", Text, nullable=False),
    Column("domains", Json, nullable=False),
    Column("divisions", Json, nullable=False),
    Column("types", Json, nullable=False),
    Column("secrets", Json, nullable=False),  # [{"secret", "until": ms|null}], the newest first
    Column("unmasked", Boolean, nullable=False),  # may see who reported
    Column("demo", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_because", Text),
    Column("failures", Integer, nullable=False),  # in a row
    Column("succeeded_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Column("signatures", Json, nullable=False, server_default=text("""'["v1"]'""")),  # see `signature`
    Column("concurrency", Integer),  # messages on their way at once, over all workers; none: as many as it bears
    Column("per_minute", Integer),
    Column("state_since", BigInteger),  # well, failing, unreachable or disabled
    Column("not_before", BigInteger, nullable=False, server_default=text("0")),  # it asked for time, or has a rate
    # The circuit breaker: since when it is open, probes that failed, when the next ones may go.
    Column("opened_at", BigInteger),
    Column("probes", Integer, nullable=False, server_default=text("0")),
    Column("probe_at", BigInteger, nullable=False, server_default=text("0")),
    Column("grave_probe_at", BigInteger, nullable=False, server_default=text("0")),
    # What waits for it is still to be held or released, as it is now: since when, and its last success before.
    Column("switching", BigInteger),
    Column("switching_past", BigInteger),
)

dispatch_alerts = Table(
    "dispatch_alerts",  # that something waits for an endpoint for too long, told once
    metadata,
    Column("queue", Text),  # missing_endpoint, unreachable, disabled
    Column("subject", Id),  # the department, or the endpoint
    Column("since", BigInteger, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("queue", "subject"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),  # the webhook-id, the same on every attempt
    Column("endpoint_id", Id, ForeignKey("endpoints.id")),  # none: held until the department has one
    Column("case_id", Id),
    Column("work_order_id", Id),
    Column("department", Text),
    Column("case_order", BigInteger, nullable=False),  # order within the case
    Column("domain", Text),
    *where_columns(),
    Column("type", Text, nullable=False),
    Column("case_type", Text),
    Column("grade", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", Text, nullable=False),  # pending, delivered, failed, held
    Column("held_because", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    *claim_columns(),
    lane_column(),  # endpoint.grade.domain.county
    postgresql_partition_by="RANGE (id)",
)
_PENDING = text("status = 'pending'")
_WAITING = text("status IN ('pending', 'held')")
Index(
    "deliveries_in_lanes",
    deliveries.c.lane,
    deliveries.c.due_at,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)
_CLAIMED = text("status = 'pending' AND lease_until > 0")
Index("deliveries_claimed", deliveries.c.endpoint_id, sqlite_where=_CLAIMED, postgresql_where=_CLAIMED)
_HELD = text("status = 'held'")
Index(
    "deliveries_held",
    deliveries.c.endpoint_id,
    deliveries.c.department,
    deliveries.c.grade,
    deliveries.c.created_at,
    sqlite_where=_HELD,
    postgresql_where=_HELD,
)
Index(
    "deliveries_in_order",
    deliveries.c.case_id,
    deliveries.c.endpoint_id,
    deliveries.c.case_order,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)
Index("deliveries_by_case", deliveries.c.case_id)
Index("deliveries_by_endpoint", deliveries.c.endpoint_id, deliveries.c.id)
_UNSENT = "status IN ('held', 'failed')"
Index(
    "deliveries_unsent",
    deliveries.c.status,
    deliveries.c.id,
    sqlite_where=text(_UNSENT),
    postgresql_where=text(_UNSENT),
)
UNSENT = text(f"deliveries.{_UNSENT}")
STILL_PENDING = text("deliveries.status = 'pending'")

attempts = Table(
    "attempts",  # together with their delivery
    metadata,
    Column("delivery_id", Id, ForeignKey("deliveries.id")),
    Column("id", Id),
    Column("at", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),  # of the HTTP answer, if there was one
    Column("error", Text),
    PrimaryKeyConstraint("delivery_id", "id"),
    postgresql_partition_by="RANGE (delivery_id)",
)
_ANSWERED, _FAILED = "status >= 200 AND status < 300", "status IS NULL OR status < 200 OR status >= 300"
ANSWERED, FAILED = (
    text("attempts.status >= 200 AND attempts.status < 300"),
    text("(attempts.status IS NULL OR attempts.status < 200 OR attempts.status >= 300)"),
)
Index("attempts_delivered", attempts.c.at, sqlite_where=text(_ANSWERED), postgresql_where=text(_ANSWERED))
Index("attempts_failed", attempts.c.at, sqlite_where=text(_FAILED), postgresql_where=text(_FAILED))
