"""how long results are kept"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What is there already was promised no end: it stays.
    op.add_column("task", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_task_expires",
        "task",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("content_key IS NOT NULL"),
        postgresql_where=sa.text("content_key IS NOT NULL"),
    )
