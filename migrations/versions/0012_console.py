"""The console: who is signed in, the links and the password for it, and what operators did."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ROLE = "role IN ('look', 'do')"
METHOD = "method IN ('link', 'password')"
ACTIONS = "operator_actions"
LASTING_IDS = {"sqlite_autoincrement": True}  # actions refer to rows that were deleted
TIMES = {
    "console_sessions": ["created_at", "seen_at", "expires_at"],
    "console_links": ["created_at", "expires_at", "used_at"],
    "sign_in_attempts": ["attempted_at"],
    "console_passwords": ["created_at"],
}
FIRST, LAST = "0001-01-02 00:00:00", "9999-12-31 23:59:59"  # that Python can read
FORM = "'????-??-??T??:??:??.??????Z'"
REFUSAL = f"{ACTIONS}: what was done stays as it was written"
# An empty table may be truncated: a copy from SQLite does.
KEEP = f"""
CREATE FUNCTION keep_{ACTIONS}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP <> 'TRUNCATE' OR EXISTS (SELECT FROM {ACTIONS}) THEN
    RAISE EXCEPTION '{REFUSAL}';
  END IF;
  RETURN NULL;
END $$
"""
ON_POSTGRESQL = {
    "keep": f"UPDATE OR DELETE ON {ACTIONS} FOR EACH ROW",
    "hold": f"TRUNCATE ON {ACTIONS}",
}
# REPLACE deletes a row without a DELETE. NEW.id is -1 where the row is yet to get one.
ON_SQLITE = {
    "check": f"UPDATE ON {ACTIONS}",
    "keep": f"DELETE ON {ACTIONS}",
    "hold": f"INSERT ON {ACTIONS} WHEN EXISTS (SELECT 1 FROM {ACTIONS} WHERE id = NEW.id)",
}


def upgrade() -> None:
    create_tables()
    if is_sqlite():
        for table, columns in TIMES.items():
            run(trigger(table, columns))
        for name, event in ON_SQLITE.items():
            refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            run(f"CREATE TRIGGER {name}_{ACTIONS} BEFORE {event} {refuse}")
        return
    for table, columns in {**TIMES, ACTIONS: ["acted_at"]}.items():
        for column in columns:
            within = sa.text(f"{column} BETWEEN '{FIRST}+00' AND '{LAST}+00'")
            op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, within)
    run(KEEP)
    for name, event in ON_POSTGRESQL.items():
        run(f"CREATE TRIGGER {name}_{ACTIONS} BEFORE {event} EXECUTE FUNCTION keep_{ACTIONS}()")


def downgrade() -> None:
    for table in (ACTIONS, *TIMES):
        op.drop_table(table)
    if not is_sqlite():
        run(f"DROP FUNCTION keep_{ACTIONS}()")


def create_tables() -> None:
    create_table(
        "console_sessions",
        text("digest"),
        text("role"),
        text("method"),
        text("name", nullable=True),
        text("address"),
        *map(time, ("created_at", "seen_at", "expires_at")),
        sa.UniqueConstraint("digest", name="uq_console_sessions_digest"),
        sa.CheckConstraint(ROLE, name="ck_console_sessions_role"),
        sa.CheckConstraint(METHOD, name="ck_console_sessions_method"),
        **LASTING_IDS,
    )
    create_table(
        "console_links",
        text("digest"),
        text("role"),
        text("name", nullable=True),
        *map(time, ("created_at", "expires_at")),
        time("used_at", nullable=True),
        sa.UniqueConstraint("digest", name="uq_console_links_digest"),
        sa.CheckConstraint(ROLE, name="ck_console_links_role"),
        **LASTING_IDS,
    )
    create_table("sign_in_attempts", text("address"), time("attempted_at"))
    create_table("console_passwords", text("hash"), time("created_at"), **LASTING_IDS)
    create_table(
        ACTIONS,
        time("acted_at"),
        text("operator"),
        sa.Column("session_id", number()),
        text("action"),
        text("table_name", nullable=True),
        sa.Column("row_id", number()),
        text("details", nullable=True),
        sa.CheckConstraint("id > 0", name=f"ck_{ACTIONS}_id"),  # see ON_SQLITE
    )


def create_table(name: str, *columns, **options) -> None:
    id = sa.Column("id", number(), nullable=False)
    op.create_table(name, id, *columns, sa.PrimaryKeyConstraint("id", name=f"pk_{name}"), **options)


def text(name: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


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
    """Refuse what is no time, and bring times into our form, as in the other tables."""
    rules = {
        "id may not change": "NEW.id IS NOT OLD.id",
        "times must be like 2026-11-20 12:00:00, in UTC": " OR ".join(map(no_time, times)),
    }
    is_odd = " OR ".join(f"NEW.{column} NOT GLOB {FORM}" for column in times)
    refusals = [f"SELECT RAISE(ABORT, '{table}: {rule}') WHERE {no};" for rule, no in rules.items()]
    updates = [
        f"UPDATE {table} SET {column} = strftime('%Y-%m-%dT%H:%M:%f000Z', {column}, '+0 days')"
        f" WHERE id = NEW.id AND {column} NOT GLOB {FORM} AND {is_time(column)};"
        for column in times
    ]
    body = "\n  ".join([*refusals, *updates])
    return (
        f"CREATE TRIGGER check_{table} AFTER UPDATE OF {', '.join(('id', *times))} ON {table}\n"
        f"WHEN NEW.id IS NOT OLD.id OR {is_odd}\nBEGIN\n  {body}\nEND"
    )


def is_time(cell: str) -> str:
    """Whether it is a time that Python can read, too."""
    return f"{cell} GLOB '????-??-??*' AND datetime({cell}) BETWEEN '{FIRST}' AND '{LAST}'"


def no_time(column: str) -> str:
    is_right = f"coalesce({is_time(f'NEW.{column}')}, NEW.{column} IS NULL)"
    return f"(NEW.{column} IS NOT OLD.{column} AND NOT {is_right})"
