"""Two processes have the same files open, which are taken away: one saves what both wrote."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import HANG_SECONDS, until
from senders import PROCESSES, start
from sqlalchemy import text
from sqlalchemy.orm import Session

from storage import connect
from storage.database import DatabaseBroken
from storage.siblings import Siblings
from storage.sqlite import SQLite
from storage.sqlite_connection import sqlite3

GRACE_SECONDS = 0.3  # for those who should wait and do not


def insert(word: str) -> Callable[[Session], None]:
    def transaction(db: Session) -> None:
        db.execute(text("INSERT INTO texts VALUES (:word)"), {"word": word})

    return transaction


def words(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM texts")]


def rescued(database: Path) -> list[list[str]]:
    return [words(copy) for copy in database.parent.glob(f"{database.name}.rescued-*")]


def open_file(path: Path, siblings: Siblings) -> SQLite:
    database = connect(f"sqlite:///{path}", siblings=siblings)
    database.check()  # it opens the files
    return database


class Sibling:
    """Another process, which does one thing with the same database and tells how it went."""

    def __init__(self, work: Callable[..., None], path: Path, siblings: Siblings) -> None:
        self._pipe, theirs = PROCESSES.Pipe()
        self._process = start(work, path, siblings, theirs)
        assert self.hear() == "open"

    def tell(self) -> None:
        self._pipe.send("go on")

    def hear(self) -> Any:
        assert self._pipe.poll(HANG_SECONDS)
        return self._pipe.recv()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def save(path: Path, siblings: Siblings, pipe: Any) -> None:
    database = open_file(path, siblings)
    pipe.send("open")
    pipe.recv()
    pipe.send(database.rescue())
    pipe.recv()
    os._exit(0)


def save_without_end(path: Path, siblings: Siblings, pipe: Any) -> None:
    def hang(why: str) -> None:
        pipe.send(why)
        pipe.recv()

    database = open_file(path, siblings)
    pipe.send("open")
    pipe.recv()
    database.rescue(hang)


def write_slowly(path: Path, siblings: Siblings, pipe: Any) -> None:
    database = open_file(path, siblings)
    pipe.send("open")

    def insert_slowly(db: Session) -> None:
        insert("in flight")(db)
        pipe.send("under way")
        until(lambda: siblings.find(database._files.opened))
        time.sleep(GRACE_SECONDS)

    database.write(insert_slowly)
    pipe.send("acknowledged")


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "smsconvo.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE texts (word TEXT)")
    return path


@pytest.fixture
def siblings() -> Siblings:
    return Siblings()


@pytest.fixture
def database(path, siblings) -> Iterator[SQLite]:
    with open_file(path, siblings) as database:
        database.write(insert("early"))
        yield database


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_one_saves_for_all_and_nobody_writes_to_these_files_any_more(
    path, siblings, database, pool
):
    """Even if they are put back, where a look at their names finds nothing."""
    sibling = Sibling(save, path, siblings)
    away = path.rename(path.with_name("away.db"))
    sibling.tell()
    saved = sibling.hear()
    assert saved.is_safe and saved.why
    away.rename(path)
    with pytest.raises(DatabaseBroken, match="moved or deleted"):
        database.write(insert("late"))
    rescue = pool.submit(database.rescue)
    time.sleep(GRACE_SECONDS)
    assert not rescue.done()  # the other may still be killed
    sibling.tell()
    assert rescue.result() == (None, True)
    assert rescued(path) == [["early"]]
    with open_file(path, siblings) as next_one:  # of a process that has begun since
        next_one.write(insert("later"))


def test_a_rescue_waits_for_what_another_process_is_about_to_commit(path, siblings, database, pool):
    sibling = Sibling(write_slowly, path, siblings)
    assert sibling.hear() == "under way"
    path.unlink()
    rescue = pool.submit(database.rescue)
    assert sibling.hear() == "acknowledged"
    assert rescue.result().is_safe
    assert rescued(path) == [["early", "in flight"]]
    sibling.kill()


def test_another_takes_over_from_a_process_that_is_killed_while_it_saves(
    path, siblings, database, pool
):
    sibling = Sibling(save_without_end, path, siblings)
    path.unlink()
    sibling.tell()
    assert "is saving" in sibling.hear()
    rescue = pool.submit(database.rescue)
    time.sleep(GRACE_SECONDS)
    assert not rescue.done()
    sibling.kill()
    assert rescue.result().is_safe and rescue.result().why
    assert rescued(path) == [["early"]]
