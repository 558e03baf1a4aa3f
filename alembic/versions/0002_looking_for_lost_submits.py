"""look-ups of lost submits, callers' idempotency, why a task waits"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("look_at", sa.BigInteger(), nullable=True))
    op.add_column("attempt", sa.Column("looks", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "ix_attempt_look",
        "attempt",
        ["look_at"],
        unique=False,
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.execute("UPDATE attempt SET look_at = 0 WHERE state = 'unknown'")
    op.add_column("task", sa.Column("waiting", sa.Text(), nullable=True))
    op.add_column("task", sa.Column("fingerprint", sa.String(length=64), nullable=True))
    op.add_column("task", sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
    op.create_index("ix_task_fingerprint", "task", ["owner", "fingerprint", "created_at"], unique=False)
    op.create_table(
        "idempotency_key",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_idempotency_key_task_id")),
        sa.PrimaryKeyConstraint("owner", "digest", name=op.f("pk_idempotency_key")),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"], unique=False)
