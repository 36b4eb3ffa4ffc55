"""An index for the figures of a questionnaire in a period. Texts that open nothing do not pay."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEX = "ix_conversations_questionnaire_id_started_at"


def upgrade() -> None:
    op.create_index(INDEX, "conversations", ["questionnaire_id", "started_at"])


def downgrade() -> None:
    op.drop_index(INDEX, "conversations", if_exists=True)
