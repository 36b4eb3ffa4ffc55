"""Results that an operator has discarded: a state of their own, in which nothing is sent."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATES = "'pending', 'delivered', 'failed', 'unconfirmed'"
TRIGGERS = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'outbox'"
USED_IDS = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"


def upgrade() -> None:
    change_states(f"{STATES}, 'discarded'")


def downgrade() -> None:
    """What is discarded has failed then, with its reason."""
    run("UPDATE outbox SET state = 'failed' WHERE state = 'discarded'")
    change_states(STATES)


def change_states(states: str) -> None:
    """Allow these states. On SQLite that makes the table anew, without its triggers."""
    is_sqlite = op.get_context().dialect.name == "sqlite"
    triggers = op.get_bind().exec_driver_sql(TRIGGERS).scalars().all() if is_sqlite else []
    used = op.get_bind().exec_driver_sql(USED_IDS).scalar() if is_sqlite else None
    options = {"sqlite_autoincrement": True}
    recreate = "always" if is_sqlite else "never"
    with op.batch_alter_table("outbox", recreate=recreate, table_kwargs=options) as outbox:
        outbox.drop_constraint(op.f("ck_outbox_state"), type_="check")
        outbox.create_check_constraint(op.f("ck_outbox_state"), f"state IN ({states})")
    for sql in triggers:
        run(sql)
    if used is not None:  # what operators did refers to results that were deleted
        run("DELETE FROM sqlite_sequence WHERE name = 'outbox'")
        run(f"INSERT INTO sqlite_sequence VALUES ('outbox', {used})")


def run(sql: str) -> None:
    """Execute SQL as it is, colons included."""
    op.get_bind().exec_driver_sql(sql)
