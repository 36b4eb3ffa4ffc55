"""Two servers behind the Caddy that balances as it is shipped; one of them goes down."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from conftest import ACCOUNT_SID, AUTH_TOKEN, free_address
from proxies import balancing
from rig import Guests, Server, Text, compare, running

from phone import Phone

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
GUESTS = 6


class Balanced:
    """Two servers at one address."""

    def __init__(self, folder: Path, database_url: str, receiver: str) -> None:
        self.address = free_address()
        public = {"SMSCONVO_PUBLIC_URL": f"http://{self.address}", "DATABASE_URL": database_url}
        folders = [folder / str(n) for n in range(2)]
        for one in folders:
            one.mkdir()
        self.servers = [Server(one, receiver, settings=public, warm=False) for one in folders]

    def phone(self, sender: str) -> Phone:
        url = f"http://{self.address}/sms"
        return Phone(url, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, sender=sender)


@contextmanager
def balanced(
    folder: Path, database_url: str, receiver: str, change: tuple[str, str] | None
) -> Iterator[Balanced]:
    both = Balanced(folder, database_url, receiver)
    with running(both.servers[0]), running(both.servers[1]):
        with balancing(folder, both.address, [one.address for one in both.servers], change):
            yield both


def count_texts(server: Server) -> int:
    return server.log.read_text().count('"event":"text"')


def end_one(
    both: Balanced, end: Callable[[Server], object], is_back: bool
) -> tuple[list[Text], list[int | None], list[str]]:
    """Texts, refusals and surprises, while one of two servers ends, and perhaps comes back."""
    first, _ = both.servers
    with Guests(both, GUESTS) as guests:
        guests.wait_for(40)
        assert all(count_texts(one) for one in both.servers)
        end(first)
        guests.wait_for(len(guests.acknowledged) + 60)
        if is_back:
            first.start()
            before = count_texts(first)
            while count_texts(first) < before + 10:
                guests.wait_for(len(guests.acknowledged) + 10)
    return guests.acknowledged, guests.refusals, guests.surprises


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["stopped", "killed"])
def test_the_other_server_takes_all_texts(tmp_path, database_url, receiver, end):
    with balanced(tmp_path, database_url, receiver.url, None) as both:
        acknowledged, refusals, surprises = end_one(both, end, is_back=True)
    print(f"{len(acknowledged)} texts, {len(refusals)} refused at first")
    with psycopg.connect(database_url) as connection:
        assert surprises + compare(connection, acknowledged) == []
    # A guest has one text in flight. Caddy notes that a machine is gone before it says 502, so the
    # next try, and all texts for the five seconds of `fail_duration`, reach the other machine; by
    # then the health check, every two seconds, has noticed as well. A 503 would mean that Caddy
    # does not see the machine that is well, which round_robin does not always.
    assert set(refusals) <= {502}
    assert len(refusals) <= GUESTS


def test_the_check_notices_a_proxy_that_sends_on_to_a_server_that_is_gone(
    tmp_path, database_url, receiver
):
    unwatched = (r"\t\t(health|fail)_.*\n", "")
    with balanced(tmp_path, database_url, receiver.url, unwatched) as both:
        _, refusals, _ = end_one(both, Server.kill, is_back=False)
    assert len(refusals) > GUESTS
