"""The password of the console, if there is one."""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Self
from unicodedata import normalize

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.console.action import COMMAND_LINE, LASTING_IDS, OperatorAction
from models.console.session import ConsoleSession
from storage.base import Base, Statement

MIN_LENGTH, MAX_LENGTH = 12, 200  # characters
# OWASP's figures: 32 MiB and a tenth of a second each time.
COST = {"n": 2**15, "r": 8, "p": 1}
MEMORY = {"maxmem": 64 * 1024 * 1024}  # OpenSSL's own limit is just below what COST takes
KIND = "scrypt"


class ConsolePassword(Base):
    """The only row is the password that signs in; without it no password does."""

    __tablename__ = "console_passwords"
    __table_args__ = LASTING_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str]
    created_at: Mapped[datetime]

    @classmethod
    def is_set(cls, db: Session) -> bool:
        """Whether there is one."""
        return cls.first(db, NEWEST) is not None

    @classmethod
    def lock(cls, db: Session) -> Self | None:
        """The password, if there is one; its row is locked where a database has such locks."""
        return cls.first(db, LOCKED)

    @classmethod
    def replace(cls, db: Session, hash: str | None, now: datetime) -> None:
        """Set what `hash_password` made, or remove the password; whoever used it is signed out."""
        DELETE.execute(db)
        ConsoleSession.end_by_password(db)
        password = cls(hash=hash, created_at=now) if hash else None
        if password:
            password.insert(db)
        action = "set password" if password else "remove password"
        OperatorAction.record(db, now, COMMAND_LINE, action, password)

    def is_right(self, password: str) -> bool:
        """Whether this is the password. It takes a while: never in a transaction."""
        _, *costs, salt, expected = self.hash.split(":")
        cost = dict(zip(COST, map(int, costs), strict=True))
        return hmac.compare_digest(expected, _derive(password, salt, cost))


def hash_password(password: str) -> str:
    """What is stored of a password. It takes a while: never in a transaction."""
    salt = secrets.token_hex(16)
    return ":".join([KIND, *map(str, COST.values()), salt, _derive(password, salt, COST)])


def _derive(password: str, salt: str, cost: dict[str, int]) -> str:
    """The same for all the ways in which keyboards can compose the same characters."""
    typed = normalize("NFKC", password).encode()
    return hashlib.scrypt(typed, salt=bytes.fromhex(salt), **cost, **MEMORY).hex()


TABLE = ConsolePassword.__table__
FIND = sa.select(TABLE).order_by(TABLE.c.id.desc())
NEWEST, LOCKED = Statement(FIND), Statement(FIND.with_for_update())
DELETE = Statement(sa.delete(TABLE))
