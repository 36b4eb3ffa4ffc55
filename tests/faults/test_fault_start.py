"""A disk without room when the program starts: systemd tries again, until there is some."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

import pytest
from click.testing import CliRunner
from conftest import run

from commands import cli
from storage.writer import FileLock

SIZE, FILES = "2m", 40  # of a disk in memory


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    assert os.geteuid() == 0, "To mount a small disk, run the tests as root or: unshare -Urm pytest"
    folder.mkdir()
    options = f"size={SIZE},nr_inodes={FILES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def take_all_inodes(disk: Path) -> None:
    with suppress(OSError):
        for n in range(FILES):
            (disk / f"filler{n}").touch()


def take_all_room(disk: Path) -> None:
    with open(disk / "filler", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("take", [take_all_inodes, take_all_room])
@pytest.mark.parametrize(
    ("command", "exists"),
    [("serve", False), ("serve", True), ("upgrade", False), ("deliver", True)],
)
def test_a_start_without_room_is_worth_another(
    tmp_path, folder, environ, migrated, take, command, exists
):
    with small_disk(tmp_path / "disk") as disk:
        environ["DATABASE_URL"] = f"sqlite:///{disk}/smsconvo.db"
        if exists:
            shutil.copy(migrated, disk / "smsconvo.db")
        take(disk)
        ended = run(folder, environ, command)
        assert ended.returncode == os.EX_UNAVAILABLE, ended.stderr
        assert len(ended.stderr.splitlines()) == 1
        for filler in disk.glob("filler*"):
            filler.unlink()
        assert run(folder, environ, "upgrade").returncode == 0


@pytest.mark.parametrize("path", ["missing/smsconvo.db", "", "smsconvo.db/x"])
def test_a_path_that_can_never_be_a_file_is_a_mistake_in_the_settings(folder, environ, path):
    (folder / "smsconvo.db").touch()
    environ["DATABASE_URL"] = f"sqlite:///{folder}/{path}"
    ended = run(folder, environ, "serve")
    assert ended.returncode == os.EX_CONFIG, ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["serve", "deliver", "outbox"])
def test_a_database_that_others_hold_for_too_long_is_worth_another_start(
    folder, environ, migrated, command, patch, monkeypatch
):
    patch("storage.database", "WRITE_TIMEOUT_SECONDS", 0.1)
    monkeypatch.chdir(folder)
    shutil.copy(migrated, folder / "smsconvo.db")
    gate = FileLock(f"{folder}/smsconvo.db-gate")
    gate.acquire()
    Timer(3, gate.close).start()  # until then it waits for its writer, which waits for this
    ended = CliRunner().invoke(cli, [command], env=environ)
    assert ended.exit_code == os.EX_UNAVAILABLE
    assert ended.output == (
        "The database is in use by something else for too long. Try again when that is over.\n"
    )
