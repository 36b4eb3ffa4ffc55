"""Who texts: a row for each sender, and the people whose names we know."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sqlalchemy import bindparam, func, null, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from addresses import is_text_address
from storage.base import Base, Statement
from storage.columns import partial_index
from storage.unreadable import UnreadableRow, unreadable_rows
from toml_file import load_toml, read_bytes

CHANNELS = ("whatsapp", "rcs")  # whose addresses are numbers of phones
IS_OPTED_OUT = "opted_out_at IS NOT NULL"  # the condition of an index, as text
UNKNOWN = datetime.max.replace(tzinfo=UTC)  # of an opting out that cannot be read


def same_phone(address: str) -> tuple[str, ...]:
    """The addresses of its phone on all channels; one without a number has only itself."""
    number = address.rpartition(":")[2]
    if not number.startswith("+"):
        return (address,) * (1 + len(CHANNELS))
    return (number, *(f"{channel}:{number}" for channel in CHANNELS))


def _same_sender(address: str) -> dict[str, str]:
    return {f"phone{n}": phone for n, phone in enumerate(same_phone(address))}


class Contact(Base):
    """A sender who has texted us, and the name we know; `phone` is the address."""

    __tablename__ = "contacts"
    __allow_unmapped__ = True  # for what is not of the row
    __table_args__ = (partial_index("ix_contacts_opted_out", "id", where=IS_OPTED_OUT),)

    id: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    opted_out_at: Mapped[datetime | None]
    # When a text first read as if its sender might want no more: nothing goes out unasked since.
    perhaps_opted_out_at: Mapped[datetime | None]
    # Another address of the same sender: WhatsApp gives a number, an id of its own such as
    # whatsapp:US.1234, or both.
    alias: Mapped[str | None] = mapped_column(index=True)

    has_new_alias: bool = False  # since it was read; an opting out counts there, too

    @classmethod
    def find(cls, db: Session, phone: str) -> Self | None:
        """The contact with this address.

        Locks its row where a database has such locks, which serialises texts from one sender. Two
        concurrent first texts collide on the unique index, and the loser is run again.
        """
        return cls.first(db, BY_PHONE, phone=phone)

    @classmethod
    def find_by_id(cls, db: Session, id: int) -> Self | None:
        """The contact with this id, or None. Its row is not locked."""
        return cls.first(db, BY_ID, id=id)

    @classmethod
    def find_or_new(cls, db: Session, phone: str, external_id: str | None) -> Self:
        """The contact of a sender, who may be known by another address; else one without an id.

        Its own address comes first, so that an id leads from no known number to another contact.
        What has become known of opting out at its other addresses counts for it.
        """
        addresses = list(dict.fromkeys(filter(None, (phone, external_id))))
        known = (cls.find(db, each) for each in addresses)
        found = next(filter(None, known), None)
        if found is None and not cls.has_relatives(db, addresses):
            return cls(phone=phone, alias=next(iter(addresses[1:]), None))
        aliased = (cls.first(db, BY_ALIAS, alias=each) for each in reversed(addresses))
        found = found or next(filter(None, aliased), None) or cls(phone=phone)
        alias = next((each for each in reversed(addresses) if each != found.phone), found.alias)
        if found.id is None or found.alias != alias:
            found.alias, found.has_new_alias = alias, found.id is not None
            found._inherit_opting_out(db)
        return found

    @classmethod
    def has_relatives(cls, db: Session, addresses: Iterable[str]) -> bool:
        """Whether there may be contacts of the same sender, also such that cannot be read."""
        unreadable: list[UnreadableRow] = []
        parameters = map(_same_sender, addresses)
        found = [SAME_SENDER.fetch_readable(db, unreadable.append, **each) for each in parameters]
        return any(found) or bool(unreadable)

    def _inherit_opting_out(self, db: Session) -> None:
        """Take over when the same sender has opted out, or perhaps has, at another address."""
        for phone in self.find_addresses(db)[1:]:
            # One that cannot be read concerns that address alone.
            for _, *times in OPTING_OUT.fetch_readable(db, unreadable_rows(db).add, phone=phone):
                self.opted_out_at = self.opted_out_at or times[0]
                self.perhaps_opted_out_at = self.perhaps_opted_out_at or times[1]

    def find_addresses(self, db: Session) -> list[str]:
        """Those of all contacts that are the same sender, its own one first.

        They are those that the same phone has on other channels, and aliases, also of those.
        """
        return self._meet(db)[0]

    def find_senders(self, db: Session) -> list[str]:
        """The same and their aliases: all that a text of theirs can come from."""
        addresses, met = self._meet(db)
        return list(dict.fromkeys([*addresses, *filter(None, met)]))

    def _meet(self, db: Session) -> tuple[list[str], list[str | None]]:
        found, seen, met = [self.phone], set(), [self.phone, self.alias]
        for address in met:  # which grows meanwhile
            if address is None or address in seen:
                continue
            same = _same_sender(address)
            seen.update(same.values())
            for _, *both in SAME_SENDER.fetch_readable(db, unreadable_rows(db).add, **same):
                found.append(both[0])
                met += both
        return list(dict.fromkeys(found)), met

    def share_opting_out(self, db: Session) -> None:
        """Write what is known of opting out to all contacts of the same sender.

        Whoever has opted in has done so at all addresses. Otherwise a time that is known of one
        contact only stays there.
        """
        if self.is_unreadable:
            return
        values = {"opted_out_at": self.opted_out_at, "perhaps": self.perhaps_opted_out_at}
        for phone in self.find_addresses(db)[1:]:
            if any(values.values()):
                OPT_OUT.execute(db, phone=phone, **values)
            else:
                OPT_IN.execute(db, phone=phone)

    @classmethod
    def try_lock(cls, db: Session, phone: str) -> bool:
        """Lock the row as `find` does; False if it is locked by a text just now, or not there."""
        return bool(LOCK.fetch_all(db, phone=phone))

    @classmethod
    def unreadable(cls, db: Session, id: int, phone: str, name: str | None) -> Self:
        """One whose row cannot be read: as far as we know, its sender may have opted out.

        `phone` is its address if not even that can be read.
        """
        found = PHONE.fetch_readable(db, unreadable_rows(db).add, id=id)
        phone = found[0][1] if found else phone
        values = {"id": id, "phone": phone, "name": name}
        values |= dict.fromkeys(("opted_out_at", "perhaps_opted_out_at"), UNKNOWN)
        return cls.from_row([values.get(column) for column in cls.column_names])

    @property
    def is_unreadable(self) -> bool:
        """Whether it is not known if its sender has opted out."""
        return self.opted_out_at is UNKNOWN

    def opt_out(self, now: datetime) -> None:
        """Note that its sender wants no texts, unless that is known already."""
        if self.is_unreadable:  # what cannot be read is corrected
            self.opted_out_at = self.perhaps_opted_out_at = None
        self.opted_out_at = self.opted_out_at or now

    def perhaps_opt_out(self, now: datetime) -> None:
        """Note that its sender may want no texts, unless that is known already."""
        self.perhaps_opted_out_at = self.perhaps_opted_out_at or now

    def opt_in(self) -> None:
        """Note that its sender wants texts."""
        self.opted_out_at = self.perhaps_opted_out_at = None


# Built once: building a statement costs as much as running it.
TABLE = Contact.__table__
BY_PHONE = Statement(select(TABLE).where(TABLE.c.phone == bindparam("phone")).with_for_update())
BY_ID = Statement(select(TABLE).where(TABLE.c.id == bindparam("id")))
# Without a LIMIT, for which PostgreSQL might read the table from its end.
BY_ALIAS = Statement(
    select(TABLE)
    .where(TABLE.c.alias == bindparam("alias"))
    .order_by(TABLE.c.id.desc())
    .with_for_update()
)
SAME_PHONE = [bindparam(f"phone{n}", type_=TABLE.c.phone.type) for n in range(1 + len(CHANNELS))]
SAME_SENDER = Statement(
    select(TABLE.c.id, TABLE.c.phone, TABLE.c.alias).where(
        or_(*(column == each for column in (TABLE.c.phone, TABLE.c.alias) for each in SAME_PHONE))
    )
)
OPTING_OUT = Statement(
    select(TABLE.c.id, TABLE.c.opted_out_at, TABLE.c.perhaps_opted_out_at).where(
        TABLE.c.phone == bindparam("phone")
    )
)
PHONE = Statement(select(TABLE.c.id, TABLE.c.phone).where(TABLE.c.id == bindparam("id")))
OF_PHONE = update(TABLE).where(TABLE.c.phone == bindparam("phone"))
OPT_OUT = Statement(
    OF_PHONE.values(
        opted_out_at=func.coalesce(
            bindparam("opted_out_at", type_=TABLE.c.opted_out_at.type), TABLE.c.opted_out_at
        ),
        perhaps_opted_out_at=func.coalesce(
            bindparam("perhaps", type_=TABLE.c.perhaps_opted_out_at.type),
            TABLE.c.perhaps_opted_out_at,
        ),
    )
)
OPT_IN = Statement(OF_PHONE.values(opted_out_at=null(), perhaps_opted_out_at=null()))
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
