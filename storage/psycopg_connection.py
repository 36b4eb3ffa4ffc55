"""Connections to PostgreSQL that never wait for ever, and whose session is as smsconvo needs it.

Importing psycopg takes time that SQLite saves, so this is imported by the first engine.
"""

import re
from typing import Any

from psycopg import Connection, NotSupportedError, OperationalError, ProgrammingError
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo, PGconn, TransactionStatus
from psycopg.types.numeric import Int8Dumper

RESPONSE_TIMEOUT_SECONDS = 6  # for a server that no longer answers, not even to end a statement

# What may be set otherwise for a role, a database or the whole server, or by variables such as
# PGTZ. The last two follow the URL where it says something, and `synchronous_commit` is kept where
# it waits for more than `on`. A version of PostgreSQL that lacks one of them does without.
SET_UP_SESSION = """
SELECT set_config(name, value, false) FROM pg_settings JOIN (VALUES
    ('DateStyle', 'ISO', true),  -- psycopg reads no other
    ('TimeZone', 'UTC', true),
    ('default_transaction_isolation', 'read committed', true),  -- others conflict more often
    ('exit_on_error', 'off', true),
    ('transaction_timeout', '0', false),
    ('synchronous_commit', 'on', false)
) AS wanted (name, value, overrides_url) USING (name)
WHERE (overrides_url OR source <> 'client')
    AND (name <> 'synchronous_commit' OR setting IN ('off', 'local'))
"""
# SQL_ASCII keeps whatever bytes come. All others lack characters that people text.
ENCODINGS = ("UTF8", "SQL_ASCII")
NO_SERVER = "/dev/null"  # a directory that can have no socket in it


class UnfitServer(NotSupportedError):
    """PostgreSQL answers, but takes no texts until an operator acts; the message says why."""


class StandbyServer(OperationalError, UnfitServer):
    """The same, but the next attempt may find it promoted, or another server."""


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


def connect(
    kind: type[Connection],
    has_password: bool,
    _dialect: Any,
    _record: Any,
    args: list[Any],
    options: dict[str, Any],
) -> Connection:
    """For SQLAlchemy's event `do_connect`: a connection of this kind that is set up.

    A ProgrammingError means that the URL is wrong, and UnfitServer that the server is. If the URL
    has a password, no error has its names: with an @ too many or too few, they are parts of it.
    """
    try:
        connection = kind.connect(*args, **options)
    except OperationalError as error:
        if has_valid_values(options):
            message = without_names(str(error), options) if has_password else str(error)
            raise OperationalError(message) from None
    except (ProgrammingError, ValueError):
        pass
    else:
        return set_up(connection)
    # The library would quote the value, which may be a part of a password.
    raise ProgrammingError("an option in the URL has a value that it cannot have")


def has_valid_values(options: dict[str, Any]) -> bool:
    """Whether PostgreSQL's library gets as far as to look for a server with these options."""
    count = str(options.get("host", "")).count(",") + 1  # there must be as many ports
    hosts = ",".join([NO_SERVER] * count)
    options = {name: value for name, value in options.items() if name in option_names()}
    # Without the one that a socket cannot have.
    options |= {"host": hosts, "hostaddr": "", "gssencmode": "prefer"}
    attempt = PGconn.connect_start(make_conninfo(**options).encode())
    return NO_SERVER.encode() in attempt.error_message


def without_names(message: str, options: dict[str, Any]) -> str:
    """The message without what options call the server, the database and the user."""
    values = [str(options.get(name, "")) for name in ("host", "hostaddr", "port", "dbname", "user")]
    names = [name for name in ",".join(values).split(",") if name]
    for name in (*names, *(repr(name)[1:-1] for name in names)):
        message = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", message)
    return message


def option_names() -> set[str]:
    """What a URL can set, behind its question mark too."""
    return {option.keyword.decode() for option in Conninfo.get_defaults()}


def set_up(connection: Connection) -> Connection:
    """The same connection, or UnfitServer. SQLAlchemy has run nothing on it yet."""
    try:
        refuse_unfit(connection)
        # With one type for numbers of any size, each statement is prepared only once.
        connection.adapters.register_dumper(int, Int8Dumper)
        # In no transaction: what is set in one that fails is lost.
        connection.autocommit = True
        connection.execute(SET_UP_SESSION)
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_unfit(connection: Connection) -> None:
    """Raise UnfitServer; all of this the server has said already when it took the connection."""
    reported = connection.info.parameter_status
    if (encoding := reported("server_encoding")) not in ENCODINGS:
        raise UnfitServer(
            f"its encoding is {encoding}, which lacks characters that people text; copy it to one"
            " that createdb --encoding UTF8 --template template0 makes"
        )
    if reported("in_hot_standby") == "on":
        raise StandbyServer("it is a standby, and only the primary takes texts")
    if reported("default_transaction_read_only") == "on":
        # Not turned off here: it may be there to keep everybody from writing.
        raise UnfitServer("default_transaction_read_only is on, so it takes no texts")
