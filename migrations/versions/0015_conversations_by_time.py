"""An index for the page of answers: the newest conversations of a questionnaire or a period."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NAME = "ix_conversations_questionnaire_id_started_at_id"


def upgrade() -> None:
    op.create_index(NAME, "conversations", ["questionnaire_id", "started_at", "id"])


def downgrade() -> None:
    op.drop_index(NAME, "conversations", if_exists=True)
