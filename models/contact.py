"""Who texts: a row for each sender, and the people whose names we know."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from addresses import is_text_address
from storage.base import LITERAL_1, Base, Statement
from toml_file import load_toml, read_bytes

CHANNELS = ("whatsapp", "rcs")  # whose addresses are numbers of phones
UNKNOWN = datetime.max.replace(tzinfo=UTC)  # of an opting out that cannot be read


class Contact(Base):
    """A sender who has texted us, and the name we know; `phone` is the address."""

    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    opted_out_at: Mapped[datetime | None]
    # When a text first read as if its sender might want no more: nothing goes out unasked since.
    perhaps_opted_out_at: Mapped[datetime | None]
    # What WhatsApp calls a sender who may hide their number, such as whatsapp:US.1234.
    external_id: Mapped[str | None] = mapped_column(index=True)

    @classmethod
    def find(cls, db: Session, phone: str) -> Self | None:
        """The contact with this address.

        Locks its row where a database has such locks, which serialises texts from one sender. Two
        concurrent first texts collide on the unique index, and the loser is run again.
        """
        return cls.first(db, BY_PHONE, phone=phone)

    @classmethod
    def find_or_new(cls, db: Session, phone: str, external_id: str | None) -> Self:
        """The contact of a sender, who may be known by another address; else one without an id.

        WhatsApp gives a sender's number, an id of its own, or both.
        """
        found = cls.find(db, phone)
        if found is None and external_id:
            found = cls.first(db, BY_EXTERNAL_ID, external_id=external_id)
        if found is None:
            found = cls(phone=phone)
            found.opted_out_at = found._find_opting_out(db)
        found.external_id = external_id or found.external_id
        return found

    def _find_opting_out(self, db: Session) -> datetime | None:
        """When the same phone has opted out on another channel."""
        contacts = [Contact.first(db, BY_PHONE, phone=phone) for phone in self.addresses[1:]]
        return next((each.opted_out_at for each in contacts if each and each.opted_out_at), None)

    @property
    def addresses(self) -> list[str]:
        """Its own one, and what the same phone has on other channels."""
        number = self.phone.rpartition(":")[2]
        if not number.startswith("+"):
            return [self.phone]
        return list(dict.fromkeys((self.phone, number, *(f"{each}:{number}" for each in CHANNELS))))

    def share_opting_out(self, db: Session) -> None:
        """Write what is known of opting out to all contacts of the same phone."""
        values = {"opted_out_at": self.opted_out_at, "perhaps": self.perhaps_opted_out_at}
        for phone in self.addresses[1:]:
            OPT_OUT_OR_IN.execute(db, phone=phone, **values)

    @classmethod
    def try_lock(cls, db: Session, phone: str) -> bool:
        """Lock the row as `find` does; False if it is locked by a text just now, or not there."""
        return bool(LOCK.fetch_all(db, phone=phone))

    @classmethod
    def unreadable(cls, id: int, phone: str, name: str | None) -> Self:
        """One whose row cannot be read: as far as we know, its sender may have opted out."""
        values = {"id": id, "phone": phone, "name": name, "opted_out_at": UNKNOWN}
        return cls.from_row([values.get(column) for column in cls.column_names])

    @property
    def is_unreadable(self) -> bool:
        """Whether it is not known if its sender has opted out."""
        return self.opted_out_at is UNKNOWN

    def opt_out(self, now: datetime) -> None:
        """Note that its sender wants no texts, unless that is known already."""
        if self.opted_out_at is None or self.is_unreadable:
            self.opted_out_at = now

    def perhaps_opt_out(self, now: datetime) -> None:
        """Note that its sender may want no texts, unless that is known already."""
        self.perhaps_opted_out_at = self.perhaps_opted_out_at or now

    def opt_in(self) -> None:
        """Note that its sender wants texts."""
        self.opted_out_at = self.perhaps_opted_out_at = None


# Built once: building a statement costs as much as running it.
TABLE = Contact.__table__
BY_PHONE = Statement(select(TABLE).where(TABLE.c.phone == bindparam("phone")).with_for_update())
BY_EXTERNAL_ID = Statement(
    select(TABLE)
    .where(TABLE.c.external_id == bindparam("external_id"))
    .order_by(TABLE.c.id.desc())
    .limit(LITERAL_1)
    .with_for_update()
)
OPT_OUT_OR_IN = Statement(
    update(TABLE)
    .where(TABLE.c.phone == bindparam("phone"))
    .values(opted_out_at=bindparam("opted_out_at"), perhaps_opted_out_at=bindparam("perhaps"))
)
LOCK = Statement(
    select(TABLE.c.id)
    .where(TABLE.c.phone == bindparam("phone"))
    .with_for_update(key_share=True, skip_locked=True)
)


class People(dict[str, str]):
    """The names in `people.toml`, by address."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file, if there is one; ValueError names the place and the cure."""
        try:
            entries = load_toml(path, missing_ok=True, is_private=True)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        for phone, name in entries.items():
            if not isinstance(name, str) or not is_text_address(phone):
                raise ValueError(
                    f'{path}: {_find_line(path, phone)}write each line as "+14158675308" = "Rey",'
                    " without spaces or dashes in the number."
                )
        return cls(entries)

    def name_of(self, sender: str) -> str | None:
        """The name for a sender as it came, or for the number behind its channel prefix."""
        return self.get(sender) or self.get(sender.partition(":")[2])


def _find_line(path: Path, key: str) -> str:
    """Where a key is, like "line 2: ". The key is somebody's number, which is not for the log."""
    entry = re.compile(rf"""\s*\[?["']?{re.escape(key)}["']?\s*[=\].]""")
    lines = read_bytes(path).decode().splitlines()
    return next((f"line {n}: " for n, line in enumerate(lines, 1) if entry.match(line)), "")
