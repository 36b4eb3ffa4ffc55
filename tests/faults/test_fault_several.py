"""Three servers and two senders at one PostgreSQL; some of them, or PostgreSQL itself, go down."""

import random
import statistics
import time
from collections.abc import Iterator

import pytest
import requests
from conftest import HANG_SECONDS, QUESTIONS, Receiver
from fleet import Cluster, Fleet, audit, cluster, count_pending, sailing
from rig import TEXTS, Guests, text_until_acknowledged

from phone import TwilioError, new_sid
from storage.database import WRITE_TIMEOUT_SECONDS
from storage.postgresql import CONNECT_TIMEOUT_SECONDS
from storage.psycopg_connection import RESPONSE_TIMEOUT_SECONDS

SERVERS, SENDERS, GUESTS = 3, 2, 12
TRIES = 10  # for a weakened server to be noticed


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    with cluster() as own:
        yield own


@pytest.fixture
def database_url(own) -> str:
    return own.make_database()


def until_delivered(url: str) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while count_pending(url):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def kill_one(fleet: Fleet, guests: Guests) -> None:
    """A server, and a sender beside it; the others go on, and it comes back."""
    server = random.choice(fleet.servers)
    server.kill()
    fleet.kill_sender()
    guests.wait_for(len(guests.acknowledged) + 2 * GUESTS)
    server.start()
    fleet.start_sender()
    server.wait_until_listening()


@pytest.mark.first
def test_one_of_three_servers_is_killed(tmp_path, database_url, receiver, size):
    with sailing(tmp_path, database_url, receiver.url, SERVERS, SENDERS) as fleet:
        with Guests(fleet, GUESTS) as guests:
            for _ in range(size(2, 8)):
                guests.wait_for(len(guests.acknowledged) + random.randint(1, 40))
                kill_one(fleet, guests)
        until_delivered(database_url)
    print(f"{len(guests.acknowledged)} texts, {len(guests.refusals)} not answered at first")
    assert guests.surprises + audit(database_url, guests.acknowledged, receiver) == []
    assert set(guests.refusals) <= {None}  # nobody answered; whoever answers has room for it


class Restarts:
    """PostgreSQL goes down under load, and comes back, again and again."""

    def __init__(self, own: Cluster, guests: Guests, rounds: int) -> None:
        guests.wait_for(5 * GUESTS)
        self.slowest = max(text.at - text.sent_at for text in list(guests.acknowledged))
        self.back: list[float] = []  # seconds until the first acknowledgement
        self._own, self._guests = own, guests
        for n in range(rounds):
            guests.wait_for(len(guests.acknowledged) + random.randint(20, 60))
            self._one(("immediate", "fast")[n % 2])

    def _one(self, mode: str) -> None:
        self._own.stop(mode)
        down = len(self._guests.refusals)
        while len(self._guests.refusals) < down + 2 * GUESTS:
            time.sleep(0.01)
        acknowledged = len(self._guests.acknowledged)
        self._own.start()
        began = time.monotonic()
        self._guests.wait_for(acknowledged + 1)
        self.back.append(time.monotonic() - began)


def restart(folder, own: Cluster, url: str, receiver: Receiver, rounds: int) -> tuple:
    with sailing(folder, url, receiver.url, SERVERS, SENDERS) as fleet:
        with Guests(fleet, GUESTS) as guests:
            restarts = Restarts(own, guests, rounds)
        processes = [server.process.poll() for server in fleet.servers]
        processes += [sender.poll() for sender in fleet.senders]
        until_delivered(url)
    return restarts, guests, processes


def test_postgresql_is_restarted(tmp_path, own, database_url, receiver, size):
    restarts, guests, processes = restart(tmp_path, own, database_url, receiver, size(2, 6))
    print(
        f"{len(restarts.back)} restarts, {len(guests.acknowledged)} texts,"
        f" {len(guests.refusals)} refused; first answer after"
        f" {statistics.median(restarts.back):.2f} s, at most {max(restarts.back):.2f} s;"
        f" slowest text before {restarts.slowest:.2f} s"
    )
    assert guests.surprises + audit(database_url, guests.acknowledged, receiver) == []
    assert set(guests.refusals) == {503}
    # The shortest that anybody would wait who took PostgreSQL to be still away; on top, some texts
    # on a machine that is as busy as before.
    assert max(restarts.back) < CONNECT_TIMEOUT_SECONDS + 4 * restarts.slowest
    assert set(processes) == {None}  # all are the ones that were started


def test_a_postgresql_that_hangs_keeps_no_text_waiting(own, serve, patch, size):
    timeout = size(1, RESPONSE_TIMEOUT_SECONDS)
    patch("storage.psycopg_connection", "RESPONSE_TIMEOUT_SECONDS", timeout)
    webhook = serve()
    phone, sid = webhook.phone(), new_sid()
    phone.text(TEXTS[0])
    with own.frozen():
        began = time.monotonic()
        with pytest.raises(TwilioError, match="HTTP 503"):
            phone.text(TEXTS[1], sid=sid)
        assert time.monotonic() - began < WRITE_TIMEOUT_SECONDS
        health = requests.get(
            f"{webhook.app.settings.public_url}/healthz", timeout=WRITE_TIMEOUT_SECONDS
        )
        assert (health.status_code, health.json()["database"]["ok"]) == (503, False)
    assert phone.text(TEXTS[1], sid=sid) == [QUESTIONS[1]]
    assert phone.text(TEXTS[2]) == [QUESTIONS[2]]


def test_there_is_time_for_an_answer_and_another_connection():
    assert RESPONSE_TIMEOUT_SECONDS + CONNECT_TIMEOUT_SECONDS < WRITE_TIMEOUT_SECONDS


# The checks


def test_the_check_notices_a_postgresql_that_commits_later(tmp_path, own, receiver):
    """As a rule at once; but a crash may come when everything has just been written."""

    def complaints(n: int) -> list[str]:
        url, folder = own.make_database(), tmp_path / str(n)
        folder.mkdir()
        careless = f"{url}&options=-c%20synchronous_commit%3Doff"
        with sailing(folder, careless, receiver.url, SERVERS) as fleet:
            with Guests(fleet, GUESTS) as guests:
                guests.wait_for(len(guests.acknowledged) + 40)
                own.stop("immediate")
                own.start()
        return guests.surprises + audit(url, guests.acknowledged, receiver)

    assert any(" is None" in complaint for n in range(TRIES) for complaint in complaints(n))


def test_the_check_notices_texts_that_count_at_each_server(tmp_path, database_url, receiver):
    with sailing(tmp_path, database_url, receiver.url, 2, weakness="count_repeats") as fleet:
        phone = fleet.phone("+14155550123")
        first = text_until_acknowledged(phone, TEXTS[0])
        phone.text(TEXTS[0], sid=first.sid)
    assert audit(database_url, [first], receiver) != []


def test_the_check_notices_results_under_several_ids(tmp_path, database_url, receiver):
    with sailing(tmp_path, database_url, receiver.url, 1, weakness="name_each_attempt") as fleet:
        phone = fleet.phone("+14155550123")
        texts = [text_until_acknowledged(phone, said) for said in TEXTS]
        until_delivered(database_url)
    (found,) = audit(database_url, texts, receiver)
    assert " came as " in found
