"""several processes on one database"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQLITE = """
INSERT INTO event (task_id, state, at)
VALUES (NEW.id, NEW.state, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000);
INSERT INTO event_untold (event_id) SELECT last_insert_rowid() WHERE NEW.state IN ('failed', 'succeeded');
"""
POSTGRES = """
CREATE OR REPLACE FUNCTION log_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE logged bigint;
BEGIN
    INSERT INTO event (task_id, state, at)
    VALUES (NEW.id, NEW.state, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) RETURNING id INTO logged;
    IF NEW.state IN ('failed', 'succeeded') THEN INSERT INTO event_untold (event_id) VALUES (logged); END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    # A list in a cursor's place: what several write at once does not become visible in the order of its ids.
    op.create_table(
        "event_untold",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_event_untold_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_untold")),
    )
    op.execute(
        "INSERT INTO event_untold (event_id) SELECT event.id FROM event, event_cursor"
        " WHERE event.id > event_cursor.event_id AND event.state IN ('failed', 'succeeded')"
    )
    op.drop_table("event_cursor")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER task_made")
        op.execute("DROP TRIGGER task_moved")
        op.execute(f"CREATE TRIGGER task_made AFTER INSERT ON task BEGIN {SQLITE} END")
        op.execute(
            f"CREATE TRIGGER task_moved AFTER UPDATE OF state ON task WHEN OLD.state <> NEW.state BEGIN {SQLITE} END"
        )
    else:
        op.execute(POSTGRES)
        op.execute("ALTER TABLE task SET (autovacuum_vacuum_scale_factor = 0.01)")
    op.create_table(
        "worker",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker")),
    )
