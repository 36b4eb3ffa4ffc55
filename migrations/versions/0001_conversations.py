"""Conversations, their messages and answers, and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

TRANSCRIPT = """
CREATE VIEW transcript AS
SELECT messages.created_at AS at,
       CASE direction WHEN 'inbound' THEN messages.sender ELSE recipient END AS sender,
       contacts.name AS name,
       CASE direction WHEN 'inbound' THEN recipient ELSE messages.sender END AS number,
       direction,
       body,
       questionnaires.name AS questionnaire,
       conversations.state AS state
FROM messages
LEFT JOIN conversations ON conversations.id = messages.conversation_id
LEFT JOIN questionnaires ON questionnaires.id = conversations.questionnaire_id
LEFT JOIN contacts ON contacts.phone = conversations.sender
ORDER BY messages.id
"""

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
    create_people()
    create_conversations()
    create_messages()
    create_answers()
    create_outbox()
    op.execute(TRANSCRIPT)
    op.execute(RESULTS)


def downgrade() -> None:
    op.execute("DROP VIEW IF EXISTS results")
    op.execute("DROP VIEW IF EXISTS transcript")
    for table in ("outbox", "answers", "messages", "conversations", "questionnaires", "contacts"):
        op.drop_table(table)


def create_people() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", number, nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("opted_out_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_contacts"),
        sa.UniqueConstraint("phone", name="uq_contacts_phone"),
    )
    op.create_table(
        "questionnaires",
        sa.Column("id", number, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_questionnaires"),
        sa.UniqueConstraint("name", "digest", name="uq_questionnaires_name_digest"),
    )


def create_conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", number, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("questionnaire_id", number, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asking", sa.Text()),
        sa.Column("asked", sa.Text()),
        sa.Column("message_count", number, nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("active_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sa.UniqueConstraint("token", name="uq_conversations_token"),
        sa.CheckConstraint(
            "state IN ('open', 'completed', 'stopped', 'expired')",
            name=op.f("ck_conversations_state"),
        ),
        sa.ForeignKeyConstraint(
            ["sender"], ["contacts.phone"], name="fk_conversations_sender_contacts"
        ),
        sa.ForeignKeyConstraint(
            ["questionnaire_id"],
            ["questionnaires.id"],
            name="fk_conversations_questionnaire_id_questionnaires",
        ),
    )
    op.create_index("ix_conversations_sender_number", "conversations", ["sender", "number", "id"])
    op.create_index(
        "uq_conversations_open",
        "conversations",
        ["sender", "number"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )


def create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", number, nullable=False),
        sa.Column("conversation_id", number),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("sid", sa.Text()),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("params", sa.Text()),
        sa.Column("cookie", sa.Text()),
        sa.Column("reply_to_id", number),
        sa.Column("status", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("sid", name="uq_messages_sid"),
        sa.UniqueConstraint("reply_to_id", name="uq_messages_reply_to_id"),
        sa.CheckConstraint(
            "direction IN ('inbound', 'outbound')", name=op.f("ck_messages_direction")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_messages_conversation_id_conversations",
        ),
        sa.ForeignKeyConstraint(
            ["reply_to_id"], ["messages.id"], name="fk_messages_reply_to_id_messages"
        ),
    )
    op.create_index("ix_messages_conversation_id", "messages", ["conversation_id"])


def create_answers() -> None:
    op.create_table(
        "answers",
        sa.Column("id", number, nullable=False),
        sa.Column("conversation_id", number, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("message_id", number, nullable=False),
        sa.Column("answered_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_answers"),
        sa.UniqueConstraint("conversation_id", "key", name="uq_answers_conversation_id_key"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_answers_conversation_id_conversations",
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_answers_message_id_messages"
        ),
    )


def create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", number, nullable=False),
        sa.Column("conversation_id", number, nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", number, nullable=False),
        sa.Column("next_attempt_at", moment),
        sa.Column("leased_until", moment),
        sa.Column("last_status", number),
        sa.Column("last_error", sa.Text()),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("delivered_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("webhook_id", name="uq_outbox_webhook_id"),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed')", name=op.f("ck_outbox_state")
        ),
        sa.CheckConstraint("format IN ('form', 'json')", name=op.f("ck_outbox_format")),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_outbox_conversation_id_conversations",
        ),
    )
    op.create_index("ix_outbox_conversation_id", "outbox", ["conversation_id"])
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["next_attempt_at"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
