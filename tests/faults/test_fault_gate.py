"""The operator's commands write while guests text, and nobody meets a lock of SQLite's."""

import subprocess
import sys
from pathlib import Path

from rig import WEAKENED, Guests, audit, serving

GUESTS = 8


def command(folder: Path, environ: dict[str, str], weakness: str, *words: str) -> str:
    """What a command complains about."""
    ended = subprocess.run(
        [sys.executable, str(WEAKENED), weakness, *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return "" if ended.returncode == 0 else ended.stderr


def write_beside(folder: Path, times: int, weakness: str) -> list[object]:
    """Refusals of texts, complaints of commands, and what the audit finds."""
    with serving(folder, weakness=weakness) as server:
        with Guests(server, GUESTS) as guests:
            guests.wait_for(20)
            said = [
                command(folder, server.environ(), weakness, "outbox", "retry", "--all")
                for _ in range(times)
            ]
        complaints = [words for words in said if words]
        return guests.refusals + complaints + audit(server.database, guests.acknowledged)


def test_commands_and_texts_take_turns(tmp_path, size):
    assert write_beside(tmp_path, size(3, 40), "wait_for_no_lock") == []


def test_the_check_notices_a_gate_that_stands_open(tmp_path):
    assert write_beside(tmp_path, 6, "wait_for_no_lock,leave_the_gate_open") != []
