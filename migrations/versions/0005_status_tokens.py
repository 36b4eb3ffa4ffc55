"""A random token for each reply, by which Twilio's reports name it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("status_token", sa.Text()))


def downgrade() -> None:
    op.drop_column("messages", "status_token")
