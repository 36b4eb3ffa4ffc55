"""Who texts: a row for each sender, and the people whose names we know."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from addresses import is_text_address
from storage.base import Base, Statement
from toml_file import load_toml, read_bytes

UNKNOWN = datetime.max.replace(tzinfo=UTC)  # of an opting out that cannot be read


class Contact(Base):
    """A sender who has texted us, and the name we know; `phone` is the address."""

    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    opted_out_at: Mapped[datetime | None]

    @classmethod
    def find(cls, db: Session, phone: str) -> Self | None:
        """The contact with this address.

        Locks its row where a database has such locks, which serialises texts from one sender. Two
        concurrent first texts collide on the unique index, and the loser is run again.
        """
        return cls.first(db, BY_PHONE, phone=phone)

    @classmethod
    def try_lock(cls, db: Session, phone: str) -> bool:
        """Lock the row as `find` does; False if it is locked by a text just now, or not there."""
        return bool(LOCK.fetch_all(db, phone=phone))

    @classmethod
    def unreadable(cls, id: int, phone: str, name: str | None) -> Self:
        """One whose row cannot be read: as far as we know, its sender may have opted out."""
        values = {"id": id, "phone": phone, "name": name, "opted_out_at": UNKNOWN}
        return cls.from_row([values[column] for column in cls.column_names])

    @property
    def is_unreadable(self) -> bool:
        """Whether it is not known if its sender has opted out."""
        return self.opted_out_at is UNKNOWN

    def opt_out(self, now: datetime) -> None:
        """Note that its sender wants no texts, unless that is known already."""
        if self.opted_out_at is None or self.is_unreadable:
            self.opted_out_at = now


# Built once: building a statement costs as much as running it.
TABLE = Contact.__table__
BY_PHONE = Statement(select(TABLE).where(TABLE.c.phone == bindparam("phone")).with_for_update())
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
