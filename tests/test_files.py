"""The files of a SQLite database are moved, replaced, removed or linked by hand."""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests
from conftest import QUESTIONS, STRANGER, THANKS, Webhook, free_address, run
from sqlalchemy import text
from test_cli import assert_refused, phone_of, serving

from commands.server import save_data
from phone import TwilioError
from storage import DatabaseBroken, connect, maintenance_transaction
from storage.database_files import DatabaseFiles
from storage.sqlite_connection import sqlite3
from storage.writer import FileLock

BODIES = ("Mats BBQ", "Blue", "Pizza 🍕")


@pytest.fixture
def database_url(tmp_path, migrated) -> str:
    shutil.copy(migrated, tmp_path / "smsconvo.db")
    return f"sqlite:///{tmp_path}/smsconvo.db"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "smsconvo.db"


@pytest.fixture
def texted(webhook) -> Webhook:
    for body in BODIES:
        webhook.phone().text(body)
    return webhook


def bodies(path: Path | str) -> list[str]:
    """The texts that are in a database file, with what is in its log."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT body FROM messages WHERE direction = 'inbound'")
        return [body for (body,) in found]


# What is done, and to which file it happens


def move(path: Path) -> None:
    path.rename(path.with_name("away.db"))


def move_all(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.mkdir()
    for moved in path.parent.glob("smsconvo.db*"):
        moved.rename(elsewhere / moved.name)


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for deleted in path.parent.glob("smsconvo.db*"):
        deleted.unlink()


def replace(path: Path) -> None:
    backup = path.with_name("backup.db")
    shutil.copy(path, backup)
    backup.replace(path)


def replace_by_link(path: Path) -> None:
    move(path)
    path.symlink_to(path.with_name("away.db"))


def link(path: Path) -> None:
    os.link(path, path.with_name("other.db"))


def delete_suffix(suffix: str) -> Callable[[Path], None]:
    return lambda path: Path(f"{path}{suffix}").unlink()


def move_wal(path: Path) -> None:
    Path(f"{path}-wal").rename(path.with_name("away.db-wal"))


def replace_wal(path: Path) -> None:
    shutil.copy(f"{path}-wal", path.with_name("backup.db-wal"))
    path.with_name("backup.db-wal").replace(f"{path}-wal")


# How it is called in the log, and where everything is afterwards; None: in the rescued copy.
HARMS = {
    "move": (move, "smsconvo.db was moved or deleted", None),
    "move all": (move_all, "smsconvo.db was moved or deleted", "elsewhere/smsconvo.db"),
    "delete": (delete, "smsconvo.db was moved or deleted", None),
    "delete all": (delete_all, "smsconvo.db was moved or deleted", None),
    "replace": (replace, "smsconvo.db was replaced by another file", None),
    "replace by a link": (replace_by_link, "smsconvo.db was replaced by another file", None),
    "link": (link, "smsconvo.db was given another name, a hard link,", "smsconvo.db"),
    "delete -wal": (delete_suffix("-wal"), "smsconvo.db-wal was moved", "smsconvo.db"),
    "move -wal": (move_wal, "smsconvo.db-wal was moved", "smsconvo.db"),
    "replace -wal": (replace_wal, "smsconvo.db-wal was moved", None),
    "delete -shm": (delete_suffix("-shm"), "smsconvo.db-shm was moved", "smsconvo.db"),
}
each_harm = pytest.mark.parametrize(("harm", "what", "place"), HARMS.values(), ids=HARMS)


def health(webhook: Webhook) -> int:
    return requests.get(f"{webhook.app.settings.public_url}/healthz", timeout=10).status_code


@each_harm
def test_no_text_is_taken_once_the_files_were_taken_away(texted, path, harm, what, place):
    harm(path)
    with pytest.raises(TwilioError, match="HTTP 503"):
        texted.phone().text("Cola")
    assert texted.app.database.broken.is_set()
    assert health(texted) == 503


@each_harm
def test_health_notices_it_where_nobody_texts(texted, path, harm, what, place):
    harm(path)
    assert health(texted) == 503
    assert texted.app.database.broken.is_set()


@each_harm
def test_everything_is_where_the_log_says(texted, path, harm, what, place):
    harm(path)
    assert health(texted) == 503
    why, is_safe = texted.app.database.rescue()
    assert is_safe
    assert why.startswith(f"{path.parent}/{what}")
    (rescued,) = path.parent.glob("smsconvo.db.rescued-*") if place is None else [None]
    place = rescued or path.parent / place
    assert rescued is None or rescued.stat().st_mode & 0o777 == 0o600
    assert f"All that was recorded is in {place}" in why
    assert bodies(place) == list(BODIES)
    assert list(path.parent.glob("*partial*")) == []


@pytest.mark.parametrize("harm", [move, delete_all, replace, replace_by_link, replace_wal])
def test_the_rescued_copy_is_put_in_place_as_it_says(texted, path, harm, folder, environ):
    harm(path)
    assert health(texted) == 503
    texted.app.database.rescue()
    texted.app.database.close()
    ended = run(folder, environ, "outbox")
    assert_refused(ended, " holds what was recorded when the files of ", "To go on with it: ")
    command = ended.stderr.partition("To go on with it: ")[2].partition(". To go on")[0]
    os.system(command)
    assert run(folder, environ, "outbox").stdout == "Everything is delivered.\n"
    assert bodies(path) == list(BODIES)


def obey(path: Path) -> None:
    """Do what is said about the rescued copies of a database."""
    obstacle = DatabaseFiles(str(path)).find_obstacle()
    command = obstacle.partition(": ")[2].partition(". To go on")[0]
    assert os.system(command) == 0


@pytest.mark.parametrize("harm", [move, delete_all, replace, replace_wal])
def test_copies_of_several_processes_are_put_in_place_at_once(
    texted, path, harm, database_url, tmp_path
):
    with connect(database_url) as other:
        other.write(lambda db: db.execute(text("INSERT INTO contacts (phone) VALUES ('+1')")))
        harm(path)
        for database in (texted.app.database, other):
            with pytest.raises(DatabaseBroken):
                database.check()
            why, is_safe = database.rescue()
            assert is_safe
    older, newest = sorted(tmp_path.glob("smsconvo.db.rescued-*"))
    assert f"{older} and {newest} hold what was recorded" in why
    assert "To go on with the newest: " in why
    obey(path)
    assert DatabaseFiles(str(path)).find_obstacle() is None
    assert bodies(path) == list(BODIES)
    (folder,) = tmp_path.glob("smsconvo.db.aside-*")
    assert bodies(folder / older.name) == list(BODIES)


def test_no_database_is_overwritten_by_a_rescued_copy(texted, path):
    replace(path)
    assert health(texted) == 503
    why, _ = texted.app.database.rescue()
    texted.app.database.close()
    change(path, "CREATE TABLE kept (x)", "PRAGMA journal_mode = wal", "DROP TABLE answers")
    before = path.read_bytes()
    assert "To go on with the database that is there now, only move this copy to another" in why
    obey(path)
    assert bodies(path) == list(BODIES)
    (folder,) = path.parent.glob("smsconvo.db.aside-*")
    assert (folder / path.name).read_bytes() == before


def test_what_may_take_minutes_is_announced_before(texted, path, patch):
    lines = []

    def log_event(event: str, _: int, why: str) -> None:
        lines.append((event, why, len(list(path.parent.glob("smsconvo.db.*")))))

    patch("logs", "log_event", log_event)
    move(path)
    assert health(texted) == 503
    save_data(texted.app.database)
    (saving, announced, copies), (broken, why, _) = lines
    assert (saving, broken, copies) == ("saving", "broken", 0)
    assert announced.startswith(f"{path} was moved or deleted while it was in use. ")
    assert f"Process {os.getpid()} is saving what was recorded: do not stop it." in announced
    assert f"All that was recorded is in {path}.rescued-" in why


def test_the_log_of_a_database_is_not_applied_to_the_one_in_its_place(texted, path):
    replace(path)
    before = path.read_bytes()
    assert health(texted) == 503
    texted.app.database.rescue()
    assert not path.with_name("smsconvo.db-wal").exists()
    assert path.read_bytes() == before


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def grown(texted, path) -> Path:
    """The backup of a database that has grown since."""
    backup = Path(texted.app.database.back_up("bak"))
    change(path, "CREATE TABLE photos AS SELECT zeroblob(1e6) AS photo")
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    texted.phone().text("Cola")
    return backup


def test_a_backup_that_is_written_over_the_database_is_noticed(
    texted, path, grown, folder, environ
):
    subprocess.run(["cp", grown, path], check=True)
    with pytest.raises(TwilioError, match="HTTP 503"):
        texted.phone().text("Yes")
    assert health(texted) == 503
    why, is_safe = texted.app.database.rescue()
    (log,) = path.parent.glob("smsconvo.db.overwritten-*")
    assert is_safe
    assert f"{path} was overwritten while it was in use. What it held is lost. " in why
    assert f"Put a whole backup in the place of {path}, and delete {log}." in why
    texted.app.database.close()
    assert path.read_bytes() == grown.read_bytes()
    assert_refused(run(folder, environ, "outbox"), f"{log} is what was recorded last when")
    log.unlink()
    assert run(folder, environ, "outbox").stdout == "Everything is delivered.\n"
    assert bodies(path) == list(BODIES)


def test_a_vacuum_is_no_harm(texted, path, grown):
    change(path, "DROP TABLE photos", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < 1e6
    assert texted.phone().text("Yes") == [THANKS]
    assert health(texted) == 200


def small_again(path: Path) -> None:
    """As VACUUM leaves a database, and what is recorded until somebody looks: it grows anew."""
    change(path, "DROP TABLE photos", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
    change(path, "CREATE TABLE more AS SELECT zeroblob(50000) AS photo")


def test_a_database_that_became_smaller_and_grew_since_is_no_harm(texted, path, grown):
    small_again(path)
    assert 1e6 > path.stat().st_size
    assert texted.phone().text("Yes") == [THANKS]
    assert health(texted) == 200


@pytest.fixture
def vacuuming(serve, path) -> Webhook:
    """A database that SQLite makes smaller by itself, in use."""
    change(path, "PRAGMA auto_vacuum = full", "VACUUM")
    change(path, "CREATE TABLE photos AS SELECT zeroblob(1e6) AS photo")
    webhook = serve()
    for body in BODIES:
        webhook.phone().text(body)
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert health(webhook) == 200
    return webhook


def test_a_database_that_sqlite_makes_smaller_by_itself_is_no_harm(vacuuming, path):
    change(path, "DELETE FROM photos")
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < 1e6
    assert vacuuming.phone().text("Cola") == [QUESTIONS[3]]
    assert health(vacuuming) == 200


def test_one_that_is_written_over_is_noticed_where_sqlite_makes_files_smaller(vacuuming, path):
    os.truncate(path, 3 * 4096)
    with pytest.raises(TwilioError, match="HTTP 503"):
        vacuuming.phone().text("Cola")
    why, is_safe = vacuuming.app.database.rescue()
    assert is_safe
    assert f"{path} was overwritten while it was in use. What it held is lost. " in why


def test_a_look_that_fails_proves_nothing_and_is_tried_again(texted, path, grown, patch):
    log = path.with_name("smsconvo.db-wal")
    change(path, "DROP TABLE photos", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
    looks = []

    def fail(*_: object) -> None:
        looks.append(1)
        raise sqlite3.OperationalError("database is locked")

    undo = patch("storage.lost_pages", "find_lost_pages", fail)
    for sender in (STRANGER, "+14158675310"):
        assert texted.phone(sender).text("Mats BBQ") == [QUESTIONS[0]]
    assert health(texted) == 200
    assert len(looks) > 2
    assert log.stat().st_size
    undo()
    assert texted.phone(STRANGER).text("Blue") == [QUESTIONS[1]]
    assert health(texted) == 200


def test_what_is_moved_there_and_back_is_no_harm(texted, path):
    move(path)
    path.with_name("away.db").rename(path)
    assert texted.phone().text("Cola") == [QUESTIONS[3]]
    assert health(texted) == 200


def test_other_rights_are_no_harm(texted, path):
    for changed in (path, path.with_name("smsconvo.db-wal")):
        changed.chmod(0o400)
    assert texted.phone().text("Cola") == [QUESTIONS[3]]
    assert health(texted) == 200


def test_a_link_to_the_database_that_leads_elsewhere_is_noticed(serve, path, tmp_path):
    link, other = tmp_path / "link.db", tmp_path / "other.db"
    link.symlink_to(path)
    webhook = serve(database_url=f"sqlite:///{link}")
    webhook.phone().text("Mats BBQ")
    shutil.copy(path, other)
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(TwilioError, match="HTTP 503"):
        webhook.phone().text("Blue")
    why, is_safe = webhook.app.database.rescue()
    assert is_safe
    assert f"The symbolic link {link} was changed" in why
    assert f"All that was recorded is in {path}" in why
    assert bodies(path) == ["Mats BBQ"]


def test_data_that_cannot_be_saved_is_held_until_it_can(texted, path, patch):
    path.unlink()
    assert health(texted) == 503

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    undo = patch("storage.backup", "sync", fail)
    why, is_safe = texted.app.database.rescue()
    assert not is_safe
    assert "cannot be saved: No space left on device. " in why
    assert f"Only process {os.getpid()} can reach it" in why
    assert list(path.parent.glob("smsconvo.db.*")) == []
    undo()
    why, is_safe = texted.app.database.rescue()
    (rescued,) = path.parent.glob("smsconvo.db.rescued-*")
    assert is_safe
    assert bodies(rescued) == list(BODIES)


def test_a_folder_that_is_gone_is_made_again_for_the_rescued_copy(tmp_path, migrated):
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(migrated, folder / "smsconvo.db")
    with connect(f"sqlite:///{folder}/smsconvo.db") as database:
        database.write(lambda db: db.execute(text("INSERT INTO contacts (phone) VALUES ('+1')")))
        shutil.rmtree(folder)
        with pytest.raises(DatabaseBroken):
            database.check()
        assert database.free_space() == 0
        assert database.rescue().is_safe
    (rescued,) = folder.glob("smsconvo.db.rescued-*")
    with closing(sqlite3.connect(rescued)) as connection:
        assert connection.execute("SELECT phone FROM contacts").fetchall() == [("+1",)]


# Starting ####################################################################


@pytest.mark.parametrize(
    ("command", "lock"),
    [("serve", "-gate"), ("serve", "-server"), ("upgrade", "-gate"), ("deliver", "-gate")],
)
def test_no_database_is_made_where_lock_files_show_that_there_was_one(
    folder, environ, command, lock
):
    (folder / f"smsconvo.db{lock}").touch()
    ended = run(folder, environ, command)
    assert_refused(ended, "smsconvo.db is missing or empty, although", "Put it back")
    assert not (folder / "smsconvo.db").exists()
    (folder / "smsconvo.db").touch()
    assert_refused(run(folder, environ, command), "smsconvo.db is missing or empty")
    assert (folder / "smsconvo.db").stat().st_size == 0


def test_a_process_makes_no_database_where_there_was_one(tmp_path, migrated):
    path = tmp_path / "smsconvo.db"
    (tmp_path / "smsconvo.db-gate").touch()
    with connect(f"sqlite:///{path}") as database, suppress(Exception):
        database.write(lambda db: None)
    with connect(f"sqlite:///{path}") as database, suppress(Exception):
        database.engine.connect()
    assert not path.exists()


@pytest.mark.parametrize("kind", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_file_is_refused_as_such(path, kind):
    kind(path)
    what = DatabaseFiles(str(path)).find_obstacle()
    assert what.endswith("is no file. Let DATABASE_URL name one in which to keep a database.")


def test_a_database_with_a_hard_link_is_refused(folder, environ, database_url, path):
    link(path)
    ended = run(folder, environ, "serve")
    assert_refused(ended, "smsconvo.db has another name, a hard link, ", "Delete the other one")


def test_a_second_server_through_a_symbolic_link_is_refused(folder, environ):
    other = folder / "other"
    other.mkdir()
    (other / "linked.db").symlink_to(folder / "smsconvo.db")  # which is not there yet
    (folder / "people.toml").touch()
    through = {"DATABASE_URL": f"sqlite:///{other}/linked.db", "SMSCONVO_LISTEN": free_address()}
    with serving(folder, environ):
        assert_refused(run(folder, environ | through, "serve"), "Another server has ", "Stop that")
        assert phone_of(environ).text("Mats BBQ") == [QUESTIONS[0]]
    with serving(folder, environ | through):
        assert_refused(run(folder, environ, "serve"), "Another server has ", "Stop that one")
    assert sorted(path.name for path in other.iterdir()) == ["linked.db"]


# Other commands ##############################################################


def test_a_migration_of_files_that_were_taken_away_changes_nothing(path, database_url):
    with pytest.raises(DatabaseBroken, match="was moved or deleted while it was in use"):
        with maintenance_transaction(database_url) as connection:
            connection.execute(text("DELETE FROM alembic_version"))
            move(path)
    with closing(sqlite3.connect(path.with_name("away.db"))) as connection:
        assert len(connection.execute("SELECT * FROM alembic_version").fetchall()) == 1


def test_a_lock_whose_file_was_deleted_is_still_one(tmp_path):
    first, second = (FileLock(str(tmp_path / "gate")) for _ in range(2))
    first.acquire()
    first.release()
    (tmp_path / "gate").unlink()
    assert second.acquire(wait=False)
    assert not first.acquire(wait=False)
    second.release()
    assert first.acquire(wait=False)
