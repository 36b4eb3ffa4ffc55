"""The files of the database are taken away from `serve` and `deliver`, which save what they had."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from conftest import HANG_SECONDS, run, until
from rig import Server, running


def broken_lines(server: Server) -> list[str]:
    return [line["why"] for line in server.logged() if line["event"] == "broken"]


def text_some(server: Server) -> list[str]:
    """The sids of texts that were acknowledged."""
    phone = server.phone("+14158675308")
    for body in ("Mats BBQ", "Blue"):
        phone.text(body)
    return sids(server.database)


def sids(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT sid FROM messages WHERE direction = 'inbound'")
        return sorted(sid for (sid,) in found)


@contextmanager
def delivering(server: Server) -> Iterator[subprocess.Popen]:
    """`deliver`, which has taken note of the files of the database: it has ended a conversation."""
    with closing(sqlite3.connect(server.database)) as connection:
        connection.execute("UPDATE conversations SET expires_at = '2026-01-01'")
        connection.commit()
    sender = server.run("deliver")
    try:
        until(lambda: any(line["event"] == "expired" for line in server.logged()))
        yield sender
    finally:
        sender.kill()
        sender.wait()


def serve_files(folder: Path) -> Server:
    """A server whose database has a folder of its own, and which root's rights do not help."""
    database = folder / "data" / "smsconvo.db"
    database.parent.mkdir()
    settings = {"DATABASE_URL": f"sqlite:///{database}"}
    server = Server(folder, weakness="rescue_often", settings=settings)
    server.database = database
    return server


def test_a_sender_that_cannot_save_holds_what_it_has_until_it_can(tmp_path):
    with running(serve_files(tmp_path)) as server:
        acknowledged = text_some(server)
        server.stop()
        if os.geteuid() == 0:
            server.under = ("setpriv", "--bounding-set=-dac_override")
        with delivering(server) as sender:
            server.database.unlink()
            server.database.parent.chmod(0o500)
            until(lambda: broken_lines(server))
            (why,) = broken_lines(server)
            assert "cannot be saved" in why and f"Only process {sender.pid}" in why
            sender.terminate()
            time.sleep(2)  # several attempts
            assert sender.poll() is None
            server.database.parent.chmod(0o700)
            assert sender.wait(HANG_SECONDS) == os.EX_SOFTWARE
        (copy,) = server.database.parent.glob("smsconvo.db.rescued-*")
        assert sids(copy) == acknowledged


def test_a_server_and_a_sender_are_both_put_right_by_one_command(tmp_path):
    with running(serve_files(tmp_path)) as server:
        text_some(server)
        server.stop()
        with delivering(server) as sender:
            server.start()
            server.wait_until_listening()
            acknowledged = text_some(server)
            server.database.unlink()
            assert server.process.wait(HANG_SECONDS) == os.EX_CONFIG
            assert sender.wait(HANG_SECONDS) == os.EX_SOFTWARE
        ended = run(tmp_path, server.environ(), "outbox")
        assert ended.returncode == os.EX_CONFIG
        command = ended.stderr.partition(": ")[2].partition(". To go on")[0]
        assert os.system(command) == 0
        assert run(tmp_path, server.environ(), "outbox").returncode == 0
        assert sids(server.database) == acknowledged


def test_a_large_database_is_announced_before_it_is_copied(tmp_path):
    with running(serve_files(tmp_path)) as server:
        text_some(server)
        with closing(sqlite3.connect(server.database)) as connection:
            connection.execute("CREATE TABLE photos AS SELECT zeroblob(300000000) AS photo")
            connection.commit()
        server.database.unlink()
        until(lambda: any(line["event"] == "saving" for line in server.logged()))
        assert not list(server.database.parent.glob("smsconvo.db.rescued-*"))
        assert server.process.wait(60) == os.EX_CONFIG
        events = [line["event"] for line in server.logged() if line["level"] == "critical"]
        assert events == ["saving", "broken"]
