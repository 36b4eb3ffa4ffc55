"""Connections to PostgreSQL that never wait for ever.

Importing psycopg takes time that SQLite saves, so this is imported by the first engine.
"""

from typing import Any

from psycopg import Connection, OperationalError
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

RESPONSE_TIMEOUT_SECONDS = 6  # for a server that no longer answers, not even to end a statement

# Overrides a role or a database whose commits do not wait for the disk, here and at the standbys.
# A setting that waits for more than `on` is kept, and so is what the URL says.
ENFORCE_SYNC_COMMIT = (
    "SELECT set_config(name, 'on', false) FROM pg_settings WHERE name = 'synchronous_commit'"
    " AND setting IN ('off', 'local') AND source <> 'client'"
)


class DeadlineConnection(Connection):
    """Closes itself when the server does not answer in time.

    psycopg's manual does not mention `wait`; tests/test_driver_errors.py holds it to this.
    """

    def wait(self, *arguments: Any) -> Any:
        try:
            return super().wait(*arguments, timeout=RESPONSE_TIMEOUT_SECONDS)
        except OperationalError:
            if self.info.transaction_status == TransactionStatus.ACTIVE:  # still no answer
                self.close()
            raise


def connect(_dialect: Any, _record: Any, args: list[Any], options: dict[str, Any]) -> Connection:
    """For SQLAlchemy's event `do_connect`."""
    return DeadlineConnection.connect(*args, **options)


def configure(connection: Connection, _record: Any) -> None:
    """For SQLAlchemy's event `connect`."""
    # With one type for numbers of any size, each statement is prepared only once.
    connection.adapters.register_dumper(int, Int8Dumper)
    # In no transaction: what is set in one that fails is lost.
    connection.autocommit = True
    connection.execute(ENFORCE_SYNC_COMMIT)
    connection.autocommit = False
