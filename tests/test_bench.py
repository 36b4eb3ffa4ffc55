import json
from contextlib import closing

import pytest
from conftest import HERE, run

from storage.sqlite import sqlite3

pytestmark = pytest.mark.long


def test_a_history_is_like_one_that_guests_left(tmp_path):
    file = tmp_path / "grown.db"
    made = run(
        tmp_path, {}, str(file), "--messages", "20000", program=HERE / "bench" / "history.py"
    )
    assert made.returncode == 0, made.stderr
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert not connection.execute("PRAGMA foreign_key_check").fetchall()
        states = dict(connection.execute("SELECT state, count(*) FROM conversations GROUP BY 1"))
        assert states["completed"] > states["expired"] > states["stopped"] > 0
        (count,) = connection.execute("SELECT count(*) FROM messages").fetchone()
        assert 17_000 < count < 23_000
        (strange,) = connection.execute(
            "SELECT count(*) FROM messages WHERE params NOT LIKE '%\"' || sid || '\"%'"
            " OR params NOT LIKE '%\"' || sender || '\"%'"
        ).fetchone()
        assert strange == 0


def test_moves_are_counted_for_answers_and_a_delivery(tmp_path):
    printed = run(tmp_path, {}, "--json", "--trace", program=HERE / "bench" / "moves.py")
    assert printed.returncode == 0, printed.stderr
    rows = json.loads(printed.stdout)
    assert list(rows) == ["middle answer", "last answer", "delivery"]
    for figures in rows.values():
        assert figures["calls"] > figures["moves"] >= figures["files"] > 1
        assert len(figures["trace"]) == figures["moves"] + 1
        assert not any(move.startswith(("phone.py", "bench/")) for move in figures["trace"])
