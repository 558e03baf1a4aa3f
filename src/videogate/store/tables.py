"""The tables. Alembic makes the schema; a test holds the two equal.

Times are integer microseconds since the epoch, UTC, on every database. `task` is the hot row that claims, polls and
reads touch; what is written once and read rarely (prompts' specs, inputs) stands beside it.
"""

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.event import listen

from videogate.task.state import LIVE, MAYBE_PAID, UNSETTLED, AttemptState, TaskState
from videogate.task.webhook import TYPES, DeliveryState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, states: frozenset[TaskState] | frozenset[AttemptState] | frozenset[DeliveryState]) -> str:
    return f"{column} IN ({', '.join(repr(state.value) for state in sorted(states))})"


Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only in a column of type INTEGER

task = Table(
    "task",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("vendor", String(32), nullable=False),
    Column("account", String(255), nullable=False),
    Column("model", String(255), nullable=False),
    Column("vendor_model", String(255), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("size", String(32), nullable=False),
    Column("seconds", String(32), nullable=False),
    Column("progress", Integer, nullable=False),
    Column("adjustments", JSON, nullable=False),
    Column("failure", JSON(none_as_null=True)),
    Column("artifact", Text),  # the result's link while it is being fetched
    Column("content_key", String(255)),
    Column("content_length", BigInteger),
    Column("content_sha256", String(64)),
    Column("content_mime", String(64)),
    Column("expires_at", BigInteger),  # from when on the content is to be removed
    Column("request_id", String(64), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("due_at", BigInteger, nullable=False),
    Column("lease_by", String(64)),
    Column("lease_until", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("troubles", Integer, nullable=False),
    Column("misses", Integer, nullable=False),
    Column("waiting", Text),  # why nothing happens just now, in words
    Column("fingerprint", String(64)),  # of the request as asked; equal requests have equal ones
    Column("tries", Integer, nullable=False, server_default="0"),  # of the caller's own client, answered with this task
    Column("remixed_from", String(64)),  # the video that it is a remix of
    Column("traceparent", String(55)),  # of the request, if it was traced, in W3C's form
    CheckConstraint(_one_of("state", frozenset(TaskState)), name="state"),
    # Few rows of many are open and change: what they leave behind is to be cleared away early.
    postgresql_with={"autovacuum_vacuum_scale_factor": 0.01},
)
_live = text(_one_of("state", LIVE))
Index("ix_task_due", task.c.due_at, sqlite_where=_live, postgresql_where=_live)
Index("ix_task_list", task.c.owner, task.c.created_at, task.c.id)
_kept = text("content_key IS NOT NULL")
Index("ix_task_expires", task.c.expires_at, sqlite_where=_kept, postgresql_where=_kept)
Index("ix_task_fingerprint", task.c.owner, task.c.fingerprint, task.c.created_at)

task_request = Table(
    "task_request",
    metadata,
    Column("task_id", String(64), ForeignKey("task.id"), primary_key=True),
    Column("spec", JSON, nullable=False),
    Column("fitted", JSON, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("task_id", String(64), ForeignKey("task.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("account", String(255), nullable=False),
    Column("client_ref", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("vendor_task_id", String(255)),
    Column("handle", JSON(none_as_null=True)),
    Column("fence", BigInteger),
    Column("sent_at", BigInteger),
    Column("send_deadline", BigInteger),
    Column("settled_at", BigInteger),
    Column("evidence", Text),
    Column("look_at", BigInteger),  # when to look for it at its vendor, while its outcome is unknown
    Column("looks", Integer, nullable=False, server_default="0"),
    CheckConstraint(_one_of("state", frozenset(AttemptState)), name="state"),
    UniqueConstraint("task_id", "number"),
    UniqueConstraint("account", "client_ref"),
    UniqueConstraint("account", "vendor_task_id"),
)
_paid = text(_one_of("state", MAYBE_PAID))
Index("uq_attempt_maybe_paid", attempt.c.task_id, unique=True, sqlite_where=_paid, postgresql_where=_paid)
_unsettled = text(_one_of("state", UNSETTLED))
Index("ix_attempt_unsettled", attempt.c.state, sqlite_where=_unsettled, postgresql_where=_unsettled)
_looked_for = text("look_at IS NOT NULL")
Index("ix_attempt_look", attempt.c.look_at, sqlite_where=_looked_for, postgresql_where=_looked_for)

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("task_id", String(64), ForeignKey("task.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("ix_event_task_id", "task_id", "id"),
)

event_untold = Table(
    "event_untold",
    metadata,
    Column("event_id", BigInteger, ForeignKey("event.id"), primary_key=True, autoincrement=False),
)
"""Events that somebody may want to be told of, until their deliveries are made."""

# The database itself writes the log of moves: no path can forget it. SQLite's `julianday` counts days, to the
# millisecond.
_TOLD = _one_of("NEW.state", frozenset(TYPES))
_SQLITE_LOGS = f"""
INSERT INTO event (task_id, state, at)
VALUES (NEW.id, NEW.state, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000);
INSERT INTO event_untold (event_id) SELECT last_insert_rowid() WHERE {_TOLD};
"""  # noqa: S608 (of our own words only)
_POSTGRES_LOGS = f"""
CREATE OR REPLACE FUNCTION log_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE logged bigint;
BEGIN
    INSERT INTO event (task_id, state, at)
    VALUES (NEW.id, NEW.state, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) RETURNING id INTO logged;
    IF {_TOLD} THEN INSERT INTO event_untold (event_id) VALUES (logged); END IF;
    RETURN NULL;
END $$
"""  # noqa: S608 (likewise)
TRIGGERS = {
    "sqlite": (
        f"CREATE TRIGGER task_made AFTER INSERT ON task BEGIN {_SQLITE_LOGS} END",
        f"CREATE TRIGGER task_moved AFTER UPDATE OF state ON task WHEN OLD.state <> NEW.state BEGIN {_SQLITE_LOGS} END",
    ),
    "postgresql": (
        _POSTGRES_LOGS,
        "CREATE TRIGGER task_made AFTER INSERT ON task FOR EACH ROW EXECUTE FUNCTION log_move()",
        """CREATE TRIGGER task_moved AFTER UPDATE OF state ON task FOR EACH ROW
        WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION log_move()""",
    ),
}
for dialect, statements in TRIGGERS.items():
    for statement in statements:
        listen(event_untold, "after_create", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("task_id", String(64), ForeignKey("task.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_idempotency_key_created_at", "created_at"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("dialect", String(16)),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("callbacks", Boolean, nullable=False, server_default=false()),  # whether its requests may name a receiver
    UniqueConstraint("digest"),
)

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64)),  # whose videos it is told of; none: everybody's
    Column("name", String(255), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("secret", String(255), nullable=False),  # readable: it signs
    Column("old_secret", String(255)),  # signs beside it for a while after a rotation
    Column("old_secret_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Column("disabled_why", Text),
    Index("ix_webhook_endpoint_list", "owner", "created_at", "id"),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("endpoint_id", String(64), ForeignKey("webhook_endpoint.id")),
    Column("url", Text),  # in an endpoint's place: the link that came with the task's request
    Column("owner", String(64)),  # whose endpoint or link it is; none: the operator's
    Column("target", String(512), nullable=False),  # what it shares its lines with
    Column("task_id", String(64), ForeignKey("task.id"), nullable=False),
    Column("event_id", BigInteger, ForeignKey("event.id"), nullable=False),
    Column("type", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    CheckConstraint(_one_of("state", frozenset(DeliveryState)), name="state"),
    Index("ix_webhook_delivery_created_at", "created_at", "id"),
    Index("ix_webhook_delivery_list", "endpoint_id", "created_at", "id"),
    UniqueConstraint("endpoint_id", "event_id"),
)
_linked = text("endpoint_id IS NULL")
Index(
    "uq_webhook_delivery_link",
    webhook_delivery.c.event_id,
    unique=True,
    sqlite_where=_linked,
    postgresql_where=_linked,
)
_undelivered = text("state = 'pending'")
Index(
    "ix_webhook_delivery_due",
    webhook_delivery.c.target,
    webhook_delivery.c.due_at,
    sqlite_where=_undelivered,
    postgresql_where=_undelivered,
)

worker = Table(
    "worker",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
)

secret = Table(
    "secret",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", String(255), nullable=False),
)
