"""Who may want no more texts, aliases at WhatsApp, and one opting out for all channels."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE, COLUMN, INDEX = "contacts", "perhaps_opted_out_at", "ix_contacts_alias"
CHECK = f"ck_{TABLE}_{COLUMN}"
FIRST, LAST = "0001-01-02 00:00:00", "9999-12-31 23:59:59"  # that Python can read
FORM = "'????-??-??T??:??:??.??????Z'"
IS_TIME = (
    f"NEW.{COLUMN} GLOB '????-??-??*' AND datetime(NEW.{COLUMN}) BETWEEN '{FIRST}' AND '{LAST}'"
)
TRIGGER = f"""
CREATE TRIGGER check_perhaps_opted_out AFTER UPDATE OF {COLUMN} ON {TABLE}
WHEN NEW.{COLUMN} IS NOT OLD.{COLUMN} AND NEW.{COLUMN} NOT GLOB {FORM}
BEGIN
  SELECT RAISE(ABORT, '{TABLE}: times must be like 2026-11-20 12:00:00, in UTC')
  WHERE NOT coalesce({IS_TIME}, 0);
  UPDATE {TABLE} SET {COLUMN} = strftime('%Y-%m-%dT%H:%M:%f000Z', {COLUMN}, '+0 days')
  WHERE id = NEW.id;
END
"""
CHANNELS = ("whatsapp", "rcs")


def upgrade() -> None:
    time = sa.Text() if is_sqlite() else sa.DateTime(timezone=True)
    op.add_column(TABLE, sa.Column(COLUMN, time))
    op.add_column(TABLE, sa.Column("alias", sa.Text()))
    op.create_index(INDEX, TABLE, ["alias"])
    if is_sqlite():
        op.get_bind().exec_driver_sql(TRIGGER)
    else:
        within = sa.text(f"{COLUMN} BETWEEN '{FIRST}+00' AND '{LAST}+00'")
        op.create_check_constraint(op.f(CHECK), TABLE, within)
    share_opting_out()


def downgrade() -> None:
    if is_sqlite():
        op.execute("DROP TRIGGER IF EXISTS check_perhaps_opted_out")
    else:
        op.drop_constraint(op.f(CHECK), TABLE)
    op.drop_index(INDEX, TABLE, if_exists=True)
    op.drop_column(TABLE, "alias")
    op.drop_column(TABLE, COLUMN)


def share_opting_out() -> None:
    """Whoever has opted out on one channel has done so on all channels of that phone."""
    contacts = sa.table(TABLE, *map(sa.column, ("phone", "opted_out_at")))
    db = op.get_bind()
    opted_out = contacts.c.opted_out_at.is_not(None)
    if is_sqlite():  # a time that cannot be read stays alone
        opted_out &= contacts.c.opted_out_at.op("GLOB")(sa.text(FORM))
    for phone, at in db.execute(sa.select(contacts).where(opted_out)).all():
        number = phone.rpartition(":")[2]
        same = contacts.c.phone.in_([number, *(f"{channel}:{number}" for channel in CHANNELS)])
        is_in = contacts.c.opted_out_at.is_(None)
        if number.startswith("+"):
            db.execute(sa.update(contacts).where(same, is_in).values(opted_out_at=at))


def is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"
