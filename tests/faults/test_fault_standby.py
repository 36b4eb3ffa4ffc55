"""A PostgreSQL that answers but takes no texts, or does not answer: `/healthz` says so in time."""

import os
import time
from collections.abc import Iterator

import pytest
import requests
from conftest import QUESTIONS, run, until
from fleet import Cluster, cluster
from rig import Server, running

from phone import TwilioError

WATCHER_SECONDS = 10  # as long as the shipped Caddyfile waits for /healthz


@pytest.fixture
def own() -> Iterator[Cluster]:
    with cluster() as own:
        yield own


def health_of(server: Server) -> tuple[int, str]:
    """The status, and why the database cannot be used."""
    answer = requests.get(f"{server.url}/healthz", timeout=WATCHER_SECONDS)
    return answer.status_code, answer.json()["database"].get("why", "")


def become_standby(own: Cluster) -> None:
    own.stop("fast")
    own.become_standby()
    own.start()


def test_a_standby_is_left_alone_until_it_is_promoted(tmp_path, own, folder, environ):
    url = own.make_database()
    with running(Server(tmp_path, settings={"DATABASE_URL": url})) as server:
        phone = server.phone("+14155550000")
        assert phone.text("Mats BBQ") == [QUESTIONS[0]]
        become_standby(own)
        with pytest.raises(TwilioError, match="HTTP 503"):
            phone.text("Blue")
        until(lambda: health_of(server) == (503, STANDBY))
        ended = run(folder, environ | {"DATABASE_URL": url}, "serve")
        assert ended.returncode == os.EX_UNAVAILABLE
        assert ended.stderr.startswith("The database cannot be used: it is a standby")
        own.promote()
        until(lambda: health_of(server)[0] == 200)
        assert phone.text("Blue") == [QUESTIONS[1]]


STANDBY = "No text can be recorded: it is a standby, and only the primary takes texts."


def test_it_is_said_in_time_that_postgresql_hangs(tmp_path, own):
    with running(Server(tmp_path, settings={"DATABASE_URL": own.make_database()})) as server:
        until(lambda: health_of(server)[0] == 200)
        time.sleep(1.1)  # what was found then is used no more
        with own.frozen():
            for _ in range(3):
                status, why = health_of(server)
                assert status == 503
                assert why.startswith("No text can be recorded: ")
        until(lambda: health_of(server)[0] == 200)
        assert server.phone("+14155550000").text("Mats BBQ") == [QUESTIONS[0]]
