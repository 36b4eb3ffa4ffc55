"""A session that is kept open, with its connection, for one transaction after the other."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from storage.unreadable import CONNECTION


class KeptSession:
    """One transaction after the other on one connection; after an error, on another one.

    To open a session and its connection takes as long as a turn. `begin` is the statement that
    begins a transaction; without one, each statement is its own. The engine must not begin any
    itself, nor may the session: its unit of work is not used. `within` is what surrounds all
    that is done with the connection.
    """

    def __init__(
        self,
        engine: Engine,
        begin: str | None,
        info: dict[str, Any],
        within: Callable[[Connection], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._engine, self._begin, self._info, self._within = engine, begin, info, within
        self._db: Session | None = None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commit what is done with the session, or roll it back after an error."""
        db = self._db = self._db or self._open()
        connection = db.info[CONNECTION]
        try:
            with self._within(connection):
                self._execute(self._begin)
                yield db
                self.commit()
        except BaseException:
            self.close()
            raise
        db.expunge_all()  # what was read with the ORM is read anew next time

    def commit(self) -> None:
        """End the transaction; what it has written is on disk."""
        self._execute(self._begin and "COMMIT")

    def _execute(self, statement: str | None) -> None:
        if statement:
            self._db.info[CONNECTION].exec_driver_sql(statement)

    def close(self) -> None:
        """Close the connection, which rolls back what it has begun."""
        if self._db:
            db, self._db = self._db, None
            connection = db.info[CONNECTION]
            db.close()
            connection.invalidate()
            connection.close()

    def _open(self) -> Session:
        connection = self._engine.connect()
        info = self._info | {CONNECTION: connection}
        return Session(connection, expire_on_commit=False, info=info)
