"""Indexes by which a look at the outbox costs the same however many results wait."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

IS_PENDING = "state = 'pending'"
IS_UNDELIVERED = "state <> 'delivered'"


def upgrade() -> None:
    op.drop_index("ix_outbox_due", "outbox")
    create_index("ix_outbox_due", ["url", "next_attempt_at", "id"], IS_PENDING)
    create_index("ix_outbox_undelivered_id", ["state", "id"], IS_UNDELIVERED)


def downgrade() -> None:
    op.drop_index("ix_outbox_undelivered_id", "outbox")
    op.drop_index("ix_outbox_due", "outbox")
    create_index("ix_outbox_due", ["next_attempt_at"], IS_PENDING)


def create_index(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "outbox", columns, sqlite_where=condition, postgresql_where=condition)
