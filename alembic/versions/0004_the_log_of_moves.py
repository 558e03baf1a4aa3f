"""the log of moves"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SQLITE = """
INSERT INTO event (task_id, state, at)
VALUES (NEW.id, NEW.state, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000);
"""


POSTGRES = """
CREATE FUNCTION log_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (task_id, state, at)
    VALUES (NEW.id, NEW.state, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_event_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index("ix_event_task_id", "event", ["task_id", "id"], unique=False)
    op.execute(
        "INSERT INTO event (task_id, state, at)"
        " SELECT id, state, COALESCE(completed_at, started_at, created_at) FROM task ORDER BY created_at"
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER task_made AFTER INSERT ON task BEGIN {SQLITE} END")
        op.execute(
            f"CREATE TRIGGER task_moved AFTER UPDATE OF state ON task WHEN OLD.state <> NEW.state BEGIN {SQLITE} END"
        )
    else:
        op.execute(POSTGRES)
        op.execute("CREATE TRIGGER task_made AFTER INSERT ON task FOR EACH ROW EXECUTE FUNCTION log_move()")
        op.execute(
            "CREATE TRIGGER task_moved AFTER UPDATE OF state ON task FOR EACH ROW"
            " WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION log_move()"
        )
