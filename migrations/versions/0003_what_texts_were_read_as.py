"""What each text was read as, pictures, skipped answers, and texts in a row that were not read."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TRANSCRIPT = """
CREATE VIEW transcript AS
SELECT messages.created_at AS at,
       CASE direction WHEN 'inbound' THEN messages.sender ELSE recipient END AS sender,
       contacts.name AS name,
       CASE direction WHEN 'inbound' THEN recipient ELSE messages.sender END AS number,
       direction,
       body,
       questionnaires.name AS questionnaire,
       conversations.state AS state{more}
FROM messages
LEFT JOIN conversations ON conversations.id = messages.conversation_id
LEFT JOIN questionnaires ON questionnaires.id = conversations.questionnaire_id
LEFT JOIN contacts ON contacts.phone = conversations.sender
ORDER BY messages.id
"""
READ_AS = ",\n       read_as,\n       media"

RESULTS = """
CREATE VIEW results AS
SELECT conversations.id AS conversation,
       conversations.sender AS sender,
       contacts.name AS name,
       event,
       questionnaires.name AS questionnaire,
       answers.key AS key,
       question,
       text,
       value,
       answered_at
FROM answers
JOIN conversations ON conversations.id = answers.conversation_id
JOIN questionnaires ON questionnaires.id = conversations.questionnaire_id
JOIN contacts ON contacts.phone = conversations.sender
ORDER BY answers.id
"""


def upgrade() -> None:
    drop_views()
    op.add_column("messages", sa.Column("media", sa.Text()))
    op.add_column("messages", sa.Column("read_as", sa.Text()))
    unread = sa.Column("unread", number, nullable=False, server_default="0")
    op.add_column("conversations", unread)
    condition = sa.text("state = 'open'")
    op.create_index(
        "ix_conversations_silent",
        "conversations",
        ["expires_at"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    with op.batch_alter_table("answers") as answers:
        answers.alter_column("value", existing_type=sa.Text(), nullable=True)
    create_views(READ_AS)


def downgrade() -> None:
    drop_views()
    op.execute("UPDATE answers SET value = '' WHERE value IS NULL")
    with op.batch_alter_table("answers") as answers:
        answers.alter_column("value", existing_type=sa.Text(), nullable=False)
    op.drop_index("ix_conversations_silent", "conversations", if_exists=True)
    op.drop_column("conversations", "unread")
    op.drop_column("messages", "read_as")
    op.drop_column("messages", "media")
    create_views("")


def drop_views() -> None:
    """SQLite rebuilds no table that a view reads from."""
    op.execute("DROP VIEW IF EXISTS results")
    op.execute("DROP VIEW IF EXISTS transcript")


def create_views(more: str) -> None:
    op.execute(TRANSCRIPT.format(more=more))
    op.execute(RESULTS)
