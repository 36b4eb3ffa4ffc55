"""Indexes for what operators look for: a day, or one of our numbers."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_messages_created_at", "messages", ["created_at"])
    op.create_index("ix_conversations_number_id", "conversations", ["number", "id"])


def downgrade() -> None:
    op.drop_index("ix_conversations_number_id", "conversations", if_exists=True)
    op.drop_index("ix_messages_created_at", "messages", if_exists=True)
