"""What is written into a cell is checked, also where somebody edits a row by hand.

On PostgreSQL, CHECK constraints do that. On SQLite, triggers do, when a row is changed: rows from
before stay as they are, while a backup is refused over one that violates a CHECK. A trigger also
says what is wrong, and brings a time into the form in which times are compared.

On SQLite, moreover, the id of a conversation or a questionnaire is never used again: rows that
refer to one that was deleted would belong to another sender.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIMES = {
    "contacts": ["opted_out_at"],
    "questionnaires": ["created_at"],
    "conversations": ["started_at", "active_at", "expires_at", "ended_at"],
    "messages": ["created_at"],
    "answers": ["answered_at"],
    "outbox": ["next_attempt_at", "leased_until", "created_at", "delivered_at"],
}
COUNTS = {
    "conversations": ["unread", "message_count"],
    "outbox": ["attempts", "unfinished", "last_status"],
}
JSON = {"questionnaires": ["definition"], "outbox": ["payload"]}
IDS = {  # what never changes
    "contacts": ["id"],
    "questionnaires": ["id"],
    "conversations": ["id"],
    "messages": ["id", "conversation_id", "reply_to_id"],
    "answers": ["id", "conversation_id"],
    "outbox": ["id", "conversation_id"],
}
REFERRING = {  # to ids that are used once
    "questionnaires": [("conversations", "questionnaire_id")],
    "conversations": [(table, "conversation_id") for table in ("messages", "answers", "outbox")],
}
BIG = "messages"  # too long to be read for this on SQLite
MAX_COUNT, MAX_ID = 10**9, 2**53
FIRST, LAST = "0001-01-02 00:00:00", "9999-12-31 23:59:59"  # that Python can read
FORM = "'????-??-??T??:??:??.??????Z'"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        upgrade_sqlite()
    else:
        upgrade_postgresql()


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        downgrade_sqlite()
    else:
        for table, name, _ in postgresql_checks():
            op.drop_constraint(name, table)


def run(sql: str) -> None:
    """Execute SQL as it is, colons included."""
    op.get_bind().exec_driver_sql(sql)


def plan_what_is_pending() -> None:
    """Nothing would ever look at a result that waits for no time."""
    run(
        "UPDATE outbox SET next_attempt_at = created_at"
        " WHERE state = 'pending' AND next_attempt_at IS NULL"
    )


# SQLite ######################################################################


def upgrade_sqlite() -> None:
    for table, column in all_of(TIMES):
        if table != BIG:
            run(f"UPDATE {table} SET {column} = {in_form(column)} WHERE {is_other_form(column)}")
    plan_what_is_pending()
    rebuild(sqlite_autoincrement=True)
    for table in REFERRING:
        skip_used_ids(table)
    for table in TIMES:
        run(trigger(table))


def downgrade_sqlite() -> None:
    for table in TIMES:
        run(f"DROP TRIGGER check_{table}")
    rebuild(sqlite_autoincrement=False)


def in_form(time: str) -> str:
    """The time in the form in which smsconvo writes it."""
    return f"strftime('%Y-%m-%dT%H:%M:%f000Z', {time}, '+0 days')"  # 30 February is 2 March


def is_time(cell: str) -> str:
    """Whether it is a time that Python can read, too."""
    return f"{cell} GLOB '????-??-??*' AND datetime({cell}) BETWEEN '{FIRST}' AND '{LAST}'"


def is_other_form(cell: str) -> str:
    return f"{cell} NOT GLOB {FORM} AND {is_time(cell)}"


def rebuild(sqlite_autoincrement: bool) -> None:
    """SQLite rebuilds no table that a view reads from."""
    views = "SELECT name, sql FROM sqlite_master WHERE type = 'view'"
    found = op.get_bind().exec_driver_sql(views).all()
    for name, _ in found:
        run(f'DROP VIEW "{name}"')
    options = {"sqlite_autoincrement": sqlite_autoincrement}
    for table in REFERRING:
        with op.batch_alter_table(table, recreate="always", table_kwargs=options):
            pass
    for _, sql in found:
        run(sql)


def skip_used_ids(table: str) -> None:
    """Begin above all ids that rows refer to, those of deleted rows included."""
    used = [
        f"SELECT max({column}) FROM {child} WHERE {column} BETWEEN 1 AND {MAX_ID}"
        for child, column in REFERRING[table]
    ]
    run(f"DELETE FROM sqlite_sequence WHERE name = '{table}'")
    highest = " UNION ALL ".join([*used, f"SELECT max(id) FROM {table}"])
    run(
        f"INSERT INTO sqlite_sequence SELECT '{table}', coalesce(max(id), 0) FROM"
        f" (SELECT NULL AS id UNION ALL {highest})"
    )


# Triggers ####################################################################


def trigger(table: str) -> str:
    """Refuse what is wrong, and bring times into our form."""
    times, rules = TIMES[table], rules_of(table)
    columns = [*IDS[table], *COUNTS.get(table, ()), *JSON.get(table, ()), *times]
    columns += ["state"] if table == "outbox" else []
    # Every text writes times: whether they are in our form is all that is asked of most of them.
    is_odd = [f"NEW.{column} NOT GLOB {FORM}" for column in times]
    when = [*is_odd, *(wrong for each in rules.values() for wrong in each)]
    rules["times must be like 2026-11-20 12:00:00, in UTC"] = [no_time(each) for each in times]
    refusals = [
        f"  SELECT RAISE(ABORT, '{table}: {rule}')\n  WHERE {either(each)};"
        for rule, each in rules.items()
    ]
    updates = [
        f"  UPDATE {table} SET {column} = {in_form(column)}\n"
        f"  WHERE id = NEW.id AND {is_other_form(column)};"
        for column in times
    ]
    body = "\n".join([*refusals, *updates])
    return (
        f"CREATE TRIGGER check_{table} AFTER UPDATE OF {', '.join(columns)} ON {table}\n"
        f"WHEN {either(when)}\nBEGIN\n{body}\nEND"
    )


def rules_of(table: str) -> dict[str, list[str]]:
    """What must be so, and the conditions under which it is not; but for times.

    What was there before may stay.
    """
    ids, counts, json = IDS[table], COUNTS.get(table, ()), JSON.get(table, ())
    # The sqlite3 shell enforces no foreign keys, and an id may be another row's some day.
    rules = {f"{', '.join(ids)} may not change": [is_new(column) for column in ids]}
    if counts:
        rule = f"{', '.join(counts)} must be whole numbers from 0 to {MAX_COUNT}"
        rules[rule] = [f"{is_new(column)} AND {no_count(column)}" for column in counts]
    for column in json:
        rules[f"{column} must be JSON"] = [f"{is_new(column)} AND NOT json_valid(NEW.{column})"]
    if table == "outbox":
        is_wrong = "NEW.state = 'pending' AND NEW.next_attempt_at IS NULL"
        rules["what is pending must have a next_attempt_at"] = [is_wrong]
    return rules


def is_new(column: str) -> str:
    return f"NEW.{column} IS NOT OLD.{column}"


def no_count(column: str) -> str:
    is_typed = f"typeof(NEW.{column}) IN ('integer', 'null')"
    return f"(NOT {is_typed} OR NEW.{column} NOT BETWEEN 0 AND {MAX_COUNT})"


def no_time(column: str) -> str:
    is_right = f"coalesce({is_time(f'NEW.{column}')}, NEW.{column} IS NULL)"
    return f"{is_new(column)} AND NOT {is_right}"


def either(conditions: list[str]) -> str:
    return "\n    OR ".join(conditions)


# PostgreSQL ##################################################################


def upgrade_postgresql() -> None:
    for table, column in all_of(TIMES):
        limit(table, column, f"'{FIRST}+00'", f"'{LAST}+00'")
    for table, column in all_of(COUNTS):
        limit(table, column, "0", str(MAX_COUNT))
    plan_what_is_pending()
    for table, name, condition in postgresql_checks():
        run(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition})")


def limit(table: str, column: str, least: str, most: str) -> None:
    """Put what cannot be read, such as `infinity`, to the end of what can."""
    is_outside = f"{column} NOT BETWEEN {least} AND {most}"
    within = f"least(greatest({column}, {least}), {most})"
    run(f"UPDATE {table} SET {column} = {within} WHERE {is_outside}")


def postgresql_checks() -> list[tuple[str, str, str]]:
    """Tables, and the names and the conditions of their constraints."""
    limits = [(table, column, f"'{FIRST}+00' AND '{LAST}+00'") for table, column in all_of(TIMES)]
    limits += [(table, column, f"0 AND {MAX_COUNT}") for table, column in all_of(COUNTS)]
    is_planned = "state <> 'pending' OR next_attempt_at IS NOT NULL"
    return [
        *(
            (table, f"ck_{table}_{column}", f"{column} BETWEEN {within}")
            for table, column, within in limits
        ),
        ("outbox", "ck_outbox_planned", is_planned),
    ]


def all_of(columns: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(table, column) for table, names in columns.items() for column in names]
