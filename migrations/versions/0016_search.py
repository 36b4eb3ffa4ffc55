"""An index of the words of all texts, for the search of the console.

It is made empty: to fill it takes minutes where there are millions of texts, and nobody could
write meanwhile. The worker does that a little at a time. Triggers forget what is deleted.
"""

from alembic import op
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

NO_FTS5 = (
    "The SQLite of this Python has no FTS5, which the search of the console needs. Run: pip install"
    " -r requirements.txt. If that does not help, take another Python, such as your system's."
)
# FTS5 keeps no texts, which the messages have, only where words are. A word in a column of its own
# says which 100,000 ids a message is among, as below.
INDEX = (
    "CREATE VIRTUAL TABLE message_search USING fts5(body, slice, content='',"
    " tokenize='unicode61 remove_diacritics 2')"
)
# Erase the words of what is deleted. Before this version SQLite can only mark them as deleted.
SINCE = (3, 42)
SECURE = "INSERT INTO message_search (message_search, rank) VALUES ('secure-delete', 1)"
# What FTS5 forgets it must be told again. The worker does so: a shell may have an older FTS5, which
# cannot write to an index from which words were erased.
ERASED = "CREATE TABLE erased_words (id INTEGER PRIMARY KEY, message_id INTEGER NOT NULL, body)"
ERASED_INDEX = "CREATE INDEX ix_erased_words_message_id ON erased_words (message_id, id)"
IS_INDEXED = "EXISTS (SELECT 1 FROM message_search_docsize WHERE id = OLD.id)"
ERASE = "BEGIN INSERT INTO erased_words (message_id, body) VALUES (OLD.id, OLD.body); END"
DELETED, CHANGED = "erase_words", "change_words"
ON_SQLITE = (
    ERASED,
    ERASED_INDEX,
    f"CREATE TRIGGER {DELETED} AFTER DELETE ON messages WHEN {IS_INDEXED} {ERASE}",
    f"CREATE TRIGGER {CHANGED} AFTER UPDATE OF body ON messages"
    f" WHEN OLD.body IS NOT NEW.body AND {IS_INDEXED} {ERASE}",
)

# What FTS5 takes for the ends of words, as far as texts have it. PostgreSQL's parser would make
# one word of an address of a page, and what it takes for a letter depends on the locale.
ENDS = (
    r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb"
    r"\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u3004\u3008-\u3020"
    r"\ufe0e\ufe0f\ufffd\ufffe\U0001f000-\U0001faff]+"
)
FOLDED = r"regexp_replace(lower(normalize(left(body, 100000), NFD)), '[\u0300-\u036f]+', '', 'g')"
# A word of its own says which 100,000 ids a message is among: so the newest are found without a
# look at all others that have a common word. No text has a word that begins with a blank.
WORDS = """
CREATE FUNCTION search_words(id bigint, body text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
  SELECT to_tsvector('pg_catalog.simple', {words})
      || array_to_tsvector(ARRAY[' ' || (id / 100000)])
$$
"""
FOLLOW = """
CREATE FUNCTION follow_search() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'DELETE' THEN
    DELETE FROM message_search WHERE id = OLD.id;
  ELSE
    UPDATE message_search SET words = search_words(NEW.id, NEW.body) WHERE id = NEW.id;
  END IF;
  RETURN NULL;
END $$
"""
ON_POSTGRESQL = (
    "CREATE TABLE message_search (id bigint CONSTRAINT pk_message_search PRIMARY KEY,"
    " words tsvector NOT NULL)",
    # What is added would wait in a list, which each search had to read.
    "CREATE INDEX message_search_idx ON message_search USING gin (words) WITH (fastupdate = off)",
    FOLLOW,
    f"CREATE TRIGGER {DELETED} AFTER DELETE ON messages"
    " FOR EACH ROW EXECUTE FUNCTION follow_search()",
    f"CREATE TRIGGER {CHANGED} AFTER UPDATE OF body ON messages"
    " FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body) EXECUTE FUNCTION follow_search()",
)


def upgrade() -> None:
    if is_sqlite():
        create_index()
        version = op.get_bind().exec_driver_sql("SELECT sqlite_version()").scalar()
        can_erase = tuple(map(int, version.split("."))) >= SINCE
        for sql in (*ON_SQLITE, *([SECURE] if can_erase else [])):
            run(sql)
        return
    in_utf8 = op.get_bind().exec_driver_sql("SHOW server_encoding").scalar() == "UTF8"
    run(WORDS.format(words=f"regexp_replace({FOLDED}, '{ENDS}', ' ', 'g')" if in_utf8 else "body"))
    for sql in ON_POSTGRESQL:
        run(sql)


def downgrade() -> None:
    for trigger in (DELETED, CHANGED):
        run(f"DROP TRIGGER IF EXISTS {trigger}" + ("" if is_sqlite() else " ON messages"))
    op.drop_table("message_search")
    if is_sqlite():
        op.drop_table("erased_words")
    else:
        run("DROP FUNCTION follow_search()")
        run("DROP FUNCTION search_words(bigint, text)")


def create_index() -> None:
    try:
        run(INDEX)
    except DBAPIError as error:
        if "no such module" in str(error.orig):
            raise CommandError(f"{NO_FTS5} Nothing was changed.") from None
        raise


def is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def run(sql: str) -> None:
    """Execute SQL as it is, colons and per cent signs included."""
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
