"""Every attempt to deliver a result, why the last one failed, and results that may have arrived."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

STATES = "'pending', 'delivered', 'failed'"
IS_GONE = "state = 'failed' AND last_status = 410"
IS_PAUSING = (
    "state IN ('failed', 'unconfirmed')"
    " AND cause IN ('gone', 'sign_in', 'restricted', 'closed', 'no_form')"
)
MAY_HAVE_ARRIVED = (
    "The result may have arrived: look for it at the receiver. If it is there, confirm it; if not,"
)
# Some receivers take what is POSTed, and redirect to a page that says so. Each such result was sent
# ten times; what is pending has one attempt left, as any that may have arrived once.
WAS_REDIRECTED = """
UPDATE outbox SET state = {state}, unconfirmed = {count}, cause = 'redirect',
  last_error = 'HTTP ' || last_status || ': it redirects, and redirects are not followed. {advice}'
WHERE state = {before} AND last_status BETWEEN 300 AND 399
"""
CRASHED = f"""
UPDATE outbox SET state = 'unconfirmed', unconfirmed = 1, cause = 'crashed',
  last_error = last_error || ' {MAY_HAVE_ARRIVED} retry.'
WHERE state = 'failed' AND substr(last_error, 1, 25) = 'The worker stopped during'
"""
OUTBOX_TIMES = ["next_attempt_at", "leased_until", "created_at", "delivered_at"]
OUTBOX_COUNTS = ["attempts", "unfinished", "last_status"]
MAX_COUNT = 10**9
FIRST, LAST = "0001-01-02 00:00:00", "9999-12-31 23:59:59"  # that Python can read
FORM = "'????-??-??T??:??:??.??????Z'"
ERASE = """
CREATE TRIGGER erase_attempts AFTER DELETE ON outbox
BEGIN
  DELETE FROM delivery_attempts WHERE outbox_id = OLD.id;
END
"""  # the sqlite3 shell enforces no foreign key


def upgrade() -> None:
    op.drop_index("ix_outbox_gone", "outbox", if_exists=True)
    change_outbox(f"{STATES}, 'unconfirmed'", add_columns, has_used_ids=True)
    run(f"UPDATE outbox SET cause = 'gone' WHERE {IS_GONE}")
    set_apart_what_may_have_arrived()
    create_index("ix_outbox_pausing", IS_PAUSING)
    create_attempts()
    if is_sqlite():
        run(trigger("outbox", OUTBOX_TIMES, [*OUTBOX_COUNTS, "unconfirmed"]))
        run(trigger("delivery_attempts", ["started_at"], ["duration_ms", "status"]))
        run(ERASE)
    else:
        check_counts("outbox", ["unconfirmed"])
        check_counts("delivery_attempts", ["duration_ms", "status"])
        within = f"started_at BETWEEN '{FIRST}+00' AND '{LAST}+00'"
        check("delivery_attempts", "started_at", within)


def downgrade() -> None:
    if is_sqlite():
        run("DROP TRIGGER IF EXISTS erase_attempts")
    op.drop_table("delivery_attempts")
    op.drop_index("ix_outbox_pausing", "outbox", if_exists=True)
    run("UPDATE outbox SET state = 'failed' WHERE state = 'unconfirmed'")
    change_outbox(STATES, drop_columns, has_used_ids=False)
    create_index("ix_outbox_gone", IS_GONE)
    if is_sqlite():
        run(trigger("outbox", OUTBOX_TIMES, OUTBOX_COUNTS))


def set_apart_what_may_have_arrived() -> None:
    advice = f"{MAY_HAVE_ARRIVED} set the address that it redirects to, and retry."
    failed = {"before": "'failed'", "state": "'unconfirmed'", "count": 2, "advice": advice}
    advice = "It may have taken the result."
    pending = {"before": "'pending'", "state": "'pending'", "count": 1, "advice": advice}
    for values in (failed, pending):
        run(WAS_REDIRECTED.format(**values))
    run(CRASHED)


def is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def run(sql: str) -> None:
    """Execute SQL as it is, colons included."""
    op.get_bind().exec_driver_sql(sql)


def create_index(name: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "outbox", ["url"], sqlite_where=condition, postgresql_where=condition)


def change_outbox(states: str, change_columns, has_used_ids: bool) -> None:
    """Allow these states, and add or drop columns: on SQLite that makes the table anew.

    There an id is used once if rows refer to it, for those of a deleted result would be another's.
    """
    options = {"sqlite_autoincrement": has_used_ids}
    recreate = "always" if is_sqlite() else "never"
    with op.batch_alter_table("outbox", recreate=recreate, table_kwargs=options) as outbox:
        outbox.drop_constraint(op.f("ck_outbox_state"), type_="check")
        outbox.create_check_constraint(op.f("ck_outbox_state"), f"state IN ({states})")
        change_columns(outbox)


def add_columns(outbox) -> None:
    outbox.add_column(sa.Column("cause", sa.Text()))
    outbox.add_column(sa.Column("unconfirmed", number, nullable=False, server_default="0"))


def drop_columns(outbox) -> None:
    outbox.drop_column("unconfirmed")
    outbox.drop_column("cause")


def create_attempts() -> None:
    op.create_table(
        "delivery_attempts",
        sa.Column("id", number, nullable=False),
        sa.Column("outbox_id", number, nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("duration_ms", number, nullable=False),
        sa.Column("status", number),
        sa.Column("cause", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("answer", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_delivery_attempts"),
        sa.ForeignKeyConstraint(
            ["outbox_id"],
            ["outbox.id"],
            name="fk_delivery_attempts_outbox_id_outbox",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_delivery_attempts_outbox_id", "delivery_attempts", ["outbox_id"])


# PostgreSQL ##################################################################


def check_counts(table: str, columns: list[str]) -> None:
    for column in columns:
        check(table, column, f"{column} BETWEEN 0 AND {MAX_COUNT}")


def check(table: str, column: str, condition: str) -> None:
    run(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{column} CHECK ({condition})")


# Triggers of SQLite ##########################################################


def trigger(table: str, times: list[str], counts: list[str]) -> str:
    """Refuse what is wrong, and bring times into our form, as in 0006."""
    is_outbox = table == "outbox"
    ids = ["id", "conversation_id" if is_outbox else "outbox_id"]
    rules = {
        f"{', '.join(ids)} may not change": [is_new(column) for column in ids],
        f"{', '.join(counts)} must be whole numbers from 0 to {MAX_COUNT}": [
            f"{is_new(column)} AND {no_count(column)}" for column in counts
        ],
    }
    if is_outbox:
        rules["payload must be JSON"] = [f"{is_new('payload')} AND NOT json_valid(NEW.payload)"]
        is_unplanned = "NEW.state = 'pending' AND NEW.next_attempt_at IS NULL"
        rules["what is pending must have a next_attempt_at"] = [is_unplanned]
    columns = [*ids, *counts, *(["payload", "state"] if is_outbox else []), *times]
    is_odd = [f"NEW.{column} NOT GLOB {FORM}" for column in times]
    when = [*is_odd, *(wrong for each in rules.values() for wrong in each)]
    rules["times must be like 2026-11-20 12:00:00, in UTC"] = [no_time(each) for each in times]
    refusals = [
        f"  SELECT RAISE(ABORT, '{table}: {rule}')\n  WHERE {either(each)};"
        for rule, each in rules.items()
    ]
    body = "\n".join([*refusals, *(mend(table, column) for column in times)])
    return (
        f"CREATE TRIGGER check_{table} AFTER UPDATE OF {', '.join(columns)} ON {table}\n"
        f"WHEN {either(when)}\nBEGIN\n{body}\nEND"
    )


def mend(table: str, time: str) -> str:
    written = f"strftime('%Y-%m-%dT%H:%M:%f000Z', {time}, '+0 days')"  # 30 February is 2 March
    is_other_form = f"{time} NOT GLOB {FORM} AND {is_time(time)}"
    return f"  UPDATE {table} SET {time} = {written}\n  WHERE id = NEW.id AND {is_other_form};"


def is_new(column: str) -> str:
    return f"NEW.{column} IS NOT OLD.{column}"


def no_count(column: str) -> str:
    is_typed = f"typeof(NEW.{column}) IN ('integer', 'null')"
    return f"(NOT {is_typed} OR NEW.{column} NOT BETWEEN 0 AND {MAX_COUNT})"


def is_time(cell: str) -> str:
    """Whether it is a time that Python can read, too."""
    return f"{cell} GLOB '????-??-??*' AND datetime({cell}) BETWEEN '{FIRST}' AND '{LAST}'"


def no_time(column: str) -> str:
    is_right = f"coalesce({is_time(f'NEW.{column}')}, NEW.{column} IS NULL)"
    return f"{is_new(column)} AND NOT {is_right}"


def either(conditions: list[str]) -> str:
    return "\n    OR ".join(conditions)
