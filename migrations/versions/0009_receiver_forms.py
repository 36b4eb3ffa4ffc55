"""Google Forms that get results, as they were found last: what changes there can lose results."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "receiver_forms"
TIMES = ("accepted_at", "checked_at", "tried_at", "changed_at")
TEXTS = ("page", "digest", "problem")
FIRST, LAST = "0001-01-02 00:00:00", "9999-12-31 23:59:59"  # that Python can read
FORM = "'????-??-??T??:??:??.??????Z'"


def upgrade() -> None:
    on_sqlite = op.get_context().dialect.name == "sqlite"
    time = sa.Text() if on_sqlite else sa.DateTime(timezone=True)
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer() if on_sqlite else sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in TEXTS),
        *(sa.Column(name, time) for name in TIMES),
        sa.PrimaryKeyConstraint("id", name=f"pk_{TABLE}"),
        sa.UniqueConstraint("url", name=f"uq_{TABLE}_url"),
    )
    if on_sqlite:
        op.get_bind().exec_driver_sql(trigger())
        return
    for column in TIMES:
        within = f"{column} BETWEEN '{FIRST}+00' AND '{LAST}+00'"
        op.create_check_constraint(f"ck_{TABLE}_{column}", TABLE, sa.text(within))


def downgrade() -> None:
    op.drop_table(TABLE)


def trigger() -> str:
    """Refuse what is wrong, and bring times into our form, as in the other tables."""
    rules = {
        "id, url may not change": "NEW.id IS NOT OLD.id OR NEW.url IS NOT OLD.url",
        "page must be JSON": "NEW.page IS NOT OLD.page AND NOT json_valid(NEW.page)",
        "times must be like 2026-11-20 12:00:00, in UTC": " OR ".join(map(no_time, TIMES)),
    }
    is_odd = " OR ".join(f"NEW.{column} NOT GLOB {FORM}" for column in TIMES)
    refusals = [f"SELECT RAISE(ABORT, '{TABLE}: {rule}') WHERE {no};" for rule, no in rules.items()]
    updates = [
        f"UPDATE {TABLE} SET {column} = strftime('%Y-%m-%dT%H:%M:%f000Z', {column}, '+0 days')"
        f" WHERE id = NEW.id AND {column} NOT GLOB {FORM} AND {is_time(column)};"
        for column in TIMES
    ]
    body = "\n  ".join([*refusals, *updates])
    when = " OR ".join([*list(rules.values())[:2], is_odd])
    columns = ", ".join(("id", "url", "page", *TIMES))
    return (
        f"CREATE TRIGGER check_{TABLE} AFTER UPDATE OF {columns} ON {TABLE}\n"
        f"WHEN {when}\nBEGIN\n  {body}\nEND"
    )


def is_time(cell: str) -> str:
    """Whether it is a time that Python can read, too."""
    return f"{cell} GLOB '????-??-??*' AND datetime({cell}) BETWEEN '{FIRST}' AND '{LAST}'"


def no_time(column: str) -> str:
    is_right = f"coalesce({is_time(f'NEW.{column}')}, NEW.{column} IS NULL)"
    return f"(NEW.{column} IS NOT OLD.{column} AND NOT {is_right})"
