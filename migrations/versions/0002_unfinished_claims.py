"""Claims that nobody came back from, and indexes for what is not delivered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    unfinished = sa.Column("unfinished", number, nullable=False, server_default="0")
    op.add_column("outbox", unfinished)
    create_index("ix_outbox_undelivered", ["state", "created_at"], "state <> 'delivered'")
    create_index("ix_outbox_gone", ["url"], "state = 'failed' AND last_status = 410")


def downgrade() -> None:
    op.drop_index("ix_outbox_gone", "outbox", if_exists=True)
    op.drop_index("ix_outbox_undelivered", "outbox", if_exists=True)
    op.drop_column("outbox", "unfinished")


def create_index(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "outbox", columns, sqlite_where=condition, postgresql_where=condition)
