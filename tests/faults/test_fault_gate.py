"""The operator's commands write while guests text, and nobody meets a lock of SQLite's."""

from pathlib import Path

from rig import Guests, Server, serving

GUESTS = 8


def retry_all(server: Server) -> list[str]:
    """Run a command that writes; its complaint, if it has one."""
    status = server.run("outbox", "retry", "--all").wait(60)
    return [f"exit status {status}: {server.log.read_text()[-500:]}"] if status else []


def write_beside(folder: Path, times: int, weakness: str) -> list[object]:
    """Refusals of texts, complaints of commands, and what the audit finds.

    It ends after so many commands, or at the first refusal or complaint.
    """
    complaints: list[str] = []
    with serving(folder, weakness=weakness) as server:
        with Guests(server, GUESTS) as guests:
            guests.wait_for(20)
            for _ in range(times):
                complaints += retry_all(server)
                if complaints or guests.refusals:
                    break
        return guests.refusals + complaints + server.audit(guests.acknowledged)


def test_commands_and_texts_take_turns(tmp_path, size):
    assert write_beside(tmp_path, size(3, 20), "wait_for_no_lock") == []


def test_the_check_notices_a_gate_that_stands_open(tmp_path):
    assert write_beside(tmp_path, 200, "wait_for_no_lock,leave_the_gate_open") != []
