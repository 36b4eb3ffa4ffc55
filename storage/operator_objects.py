"""What operators added to the database, such as views and triggers, and how migrations keep it."""

from collections.abc import Callable, Collection
from contextlib import nullcontext
from typing import NamedTuple, NoReturn

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from storage.versions import MigrationFailed


class OperatorObject(NamedTuple):
    """Something that no migration of ours made: what it is, and the SQL that makes it."""

    type: str
    name: str
    table: str  # that it belongs to; of a view its own name
    sql: str

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class OperatorObjects:
    """The operator's objects that a migration could harm.

    `made` has the names of all that our migrations made in this database until now.
    """

    found: list[OperatorObject]

    def __init__(self, connection: Connection, made: Collection[str]) -> None:
        self.connection, self.made = connection, made

    def preserve(self, migrate: Callable[[], None]) -> None:
        """Migrate, and leave the objects as they were; MigrationFailed if one no longer fits.

        What is costly to take out of the way is so only where the migration fails otherwise.
        """
        self.suspend()
        can_clear = self.can_clear
        try:
            with self.connection.begin_nested() if can_clear else nullcontext():
                migrate()
                self.check()
        except (SQLAlchemyError, MigrationFailed) as error:
            if not (can_clear and self.is_obstructed(error)):
                raise
            self.clear()
            migrate()
        self.restore()

    def suspend(self) -> None:
        """Let no trigger fire, and take away what stands in the way of most migrations."""
        raise NotImplementedError

    @property
    def can_clear(self) -> bool:
        """Whether `clear` would take anything away."""
        raise NotImplementedError

    def is_obstructed(self, error: Exception) -> bool:
        """Whether a migration may have failed because of what `clear` takes away."""
        return True

    def check(self) -> None:
        """Raise MigrationFailed where the migration changed what `clear` would have saved."""

    def clear(self) -> None:
        """Take away what few migrations mind, and what is costly to take away."""
        raise NotImplementedError

    def restore(self) -> None:
        """Put everything back; MigrationFailed if something does not fit any more."""
        raise NotImplementedError

    def run(self, sql: str, thing: OperatorObject | None = None) -> None:
        """Execute SQL as it is; MigrationFailed names the object that it fails for."""
        try:
            self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
        except DBAPIError as error:
            if thing is None:
                raise
            self.reject(thing, error.orig)

    def reject(self, thing: OperatorObject, reason: object) -> NoReturn:
        """Raise MigrationFailed for an object that does not fit."""
        why = " ".join(str(reason).split()).rstrip(".")
        raise MigrationFailed(
            f"Your own {thing} does not fit: {why}. Nothing was changed. Drop it, run this again,"
            f" and make it anew in a form that fits. Its SQL is:\n{thing.sql}"
        )
