"""On SQLite, a mark on each text in the index of words: which 100,000 ids it is among.

FTS5 looks at a bound of ids only when it has found a text, but ends with the rarest of the words.
So the index is made again, and empty, as 0016 does. On PostgreSQL the texts have such a mark.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Without the texts, which the messages have: FTS5 would look for the slices there, too.
MARKED = "body, slice, content=''"
OF_0016 = "body, content='messages', content_rowid='id'"
SINCE = (3, 42)  # see 0016


def upgrade() -> None:
    create_index(MARKED)


def downgrade() -> None:
    create_index(OF_0016)


def create_index(columns: str) -> None:
    if op.get_context().dialect.name != "sqlite":
        return
    tokenizer = "tokenize='unicode61 remove_diacritics 2'"
    op.drop_table("message_search")
    op.execute("DELETE FROM erased_words")  # of texts that the new index does not have
    op.execute(f"CREATE VIRTUAL TABLE message_search USING fts5({columns}, {tokenizer})")
    version = op.get_bind().exec_driver_sql("SELECT sqlite_version()").scalar()
    if tuple(map(int, version.split("."))) >= SINCE:
        op.execute("INSERT INTO message_search (message_search, rank) VALUES ('secure-delete', 1)")
