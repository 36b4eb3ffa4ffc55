"""Indexes for the console: replies that did not arrive, and who wants no more texts.

Each is of the few rows that a condition selects, so an ordinary turn writes nothing into any.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

DID_NOT_ARRIVE = "status IN ('failed', 'undelivered')"
IS_OPT_KEYWORD = "read_as IN ('stop', 'opt_out', 'perhaps_opt_out', 'start')"
IS_OPTED_OUT = "opted_out_at IS NOT NULL"


def upgrade() -> None:
    create_index("ix_messages_not_arrived", "messages", ["id"], DID_NOT_ARRIVE)
    create_index("ix_messages_opt_keywords", "messages", ["sender", "id"], IS_OPT_KEYWORD)
    create_index("ix_contacts_opted_out", "contacts", ["id"], IS_OPTED_OUT)


def downgrade() -> None:
    op.drop_index("ix_contacts_opted_out", "contacts", if_exists=True)
    op.drop_index("ix_messages_opt_keywords", "messages", if_exists=True)
    op.drop_index("ix_messages_not_arrived", "messages", if_exists=True)


def create_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
