"""Conversations that are tests, notes on people, and links to shared results: a table for each."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SHARES = "console_shares"
LASTING_IDS = {"sqlite_autoincrement": True}  # actions refer to rows that were deleted
TIMES = {
    "test_conversations": ["marked_at"],
    "contact_notes": ["written_at"],
    SHARES: ["created_at", "expires_at", "opened_at"],
}
OWNERS = {
    "test_conversations": ("conversation_id", "conversations"),
    "contact_notes": ("contact_id", "contacts"),
}
FIRST, LAST = "0001-01-02 00:00:00", "9999-12-31 23:59:59"  # that Python can read
FORM = "'????-??-??T??:??:??.??????Z'"
SENDERS = "senders IN ('absent', 'masked')"
NAMES = "names IN ('absent', 'shown')"


def upgrade() -> None:
    create_tables()
    if is_sqlite():
        for table, columns in TIMES.items():
            run(trigger(table, columns))
        for table, (column, owner) in OWNERS.items():
            # The sqlite3 shell enforces no foreign key.
            erase = f"DELETE FROM {table} WHERE {column} = OLD.id"
            run(f"CREATE TRIGGER erase_{table} AFTER DELETE ON {owner} BEGIN {erase}; END")
        return
    for table, columns in TIMES.items():
        for column in columns:
            within = sa.text(f"{column} BETWEEN '{FIRST}+00' AND '{LAST}+00'")
            op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, within)


def downgrade() -> None:
    for table in TIMES:
        if is_sqlite():
            run(f"DROP TRIGGER IF EXISTS erase_{table}")
        op.drop_table(table)


def create_tables() -> None:
    create_table("test_conversations", time("marked_at"))
    create_table("contact_notes", text("text"), text("written_by"), time("written_at"))
    create_table(
        SHARES,
        *map(text, ("digest", "questionnaire", "questions", "senders", "names", "created_by")),
        *map(time, ("created_at", "expires_at")),
        time("opened_at", nullable=True),
        sa.UniqueConstraint("digest", name=f"uq_{SHARES}_digest"),
        sa.CheckConstraint(SENDERS, name=f"ck_{SHARES}_senders"),
        sa.CheckConstraint(NAMES, name=f"ck_{SHARES}_names"),
        **LASTING_IDS,
    )


def create_table(name: str, *columns, **options) -> None:
    id = sa.Column("id", number(), nullable=False)
    key = sa.PrimaryKeyConstraint("id", name=f"pk_{name}")
    op.create_table(name, id, *owned_by(name), *columns, key, **options)


def owned_by(table: str) -> list[sa.schema.SchemaItem]:
    """What makes each row that of one of another table, with which it is deleted."""
    if table not in OWNERS:
        return []
    column, owner = OWNERS[table]
    name = f"fk_{table}_{column}_{owner}"
    return [
        sa.Column(column, number(), nullable=False),
        sa.UniqueConstraint(column, name=f"uq_{table}_{column}"),
        sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=name, ondelete="CASCADE"),
    ]


def text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False)


def time(name: str, nullable: bool = False) -> sa.Column:
    kind = sa.Text() if is_sqlite() else sa.DateTime(timezone=True)
    return sa.Column(name, kind, nullable=nullable)


def number() -> sa.types.TypeEngine:
    return sa.Integer() if is_sqlite() else sa.BigInteger()


def is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def run(sql: str) -> None:
    """Execute SQL as it is, colons included."""
    op.get_bind().exec_driver_sql(sql)


def trigger(table: str, times: list[str]) -> str:
    """Refuse what is wrong, and bring times into our form, as in the other tables."""
    ids = ["id", *OWNERS.get(table, ())[:1]]
    checked = ["questions"] if table == SHARES else []
    rules = {f"{column} may not change": f"NEW.{column} IS NOT OLD.{column}" for column in ids}
    rules |= {f"{column} must be JSON": f"NOT json_valid(NEW.{column})" for column in checked}
    when = [*rules.values(), *(f"NEW.{column} NOT GLOB {FORM}" for column in times)]
    rules["times must be like 2026-11-20 12:00:00, in UTC"] = " OR ".join(map(no_time, times))
    refusals = [f"SELECT RAISE(ABORT, '{table}: {rule}') WHERE {no};" for rule, no in rules.items()]
    updates = [
        f"UPDATE {table} SET {column} = strftime('%Y-%m-%dT%H:%M:%f000Z', {column}, '+0 days')"
        f" WHERE id = NEW.id AND {column} NOT GLOB {FORM} AND {is_time(column)};"
        for column in times
    ]
    body = "\n  ".join([*refusals, *updates])
    return (
        f"CREATE TRIGGER check_{table} AFTER UPDATE OF {', '.join((*ids, *checked, *times))}"
        f" ON {table}\nWHEN {' OR '.join(when)}\nBEGIN\n  {body}\nEND"
    )


def is_time(cell: str) -> str:
    """Whether it is a time that Python can read, too."""
    return f"{cell} GLOB '????-??-??*' AND datetime({cell}) BETWEEN '{FIRST}' AND '{LAST}'"


def no_time(column: str) -> str:
    is_right = f"coalesce({is_time(f'NEW.{column}')}, NEW.{column} IS NULL)"
    return f"(NEW.{column} IS NOT OLD.{column} AND NOT {is_right})"
