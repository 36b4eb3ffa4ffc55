"""What the last text of a conversation can mean, while its guest is asked which."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TRIGGER = """
CREATE TRIGGER check_readings AFTER UPDATE OF readings ON conversations
WHEN NEW.readings IS NOT OLD.readings AND NOT json_valid(NEW.readings)
BEGIN
  SELECT RAISE(ABORT, 'conversations: readings must be JSON');
END
"""


def upgrade() -> None:
    op.add_column("conversations", sa.Column("readings", sa.Text()))
    if is_sqlite():
        op.get_bind().exec_driver_sql(TRIGGER)


def downgrade() -> None:
    if is_sqlite():
        op.execute("DROP TRIGGER IF EXISTS check_readings")
    op.drop_column("conversations", "readings")


def is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"
