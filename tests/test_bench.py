import re
from contextlib import closing

import pytest
from conftest import HERE, run

from storage.sqlite_connection import sqlite3

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
    printed = run(tmp_path, {}, "--trace", program=HERE / "bench" / "moves.py")
    assert printed.returncode == 0, printed.stderr
    table, *traces = printed.stdout.split("\n\n")
    names = ("middle answer", "last answer", "delivery")
    for name, row, trace in zip(names, table.splitlines()[1:], traces, strict=True):
        assert row.strip().startswith(name)
        calls, files, moves, without_storage = map(int, row.replace(name, "").split())
        assert calls > moves >= files > 1 and moves > without_storage
        heading, *lines = trace.splitlines()
        assert heading == name
        assert len(lines) == moves + 1
        assert not any(line.split()[1].startswith(("phone.py", "bench/")) for line in lines)


OTHER = """
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", -1  # the answer leaves in one piece

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "11")
        self.end_headers()
        self.wfile.write(b"</Response>")

assert sys.argv[1:] == ["serve", "--results-to", "http://127.0.0.1:9/results"]
host, port = os.environ["SMSCONVO_LISTEN"].split(":")
ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
"""


def test_another_checkout_is_compared_by_its_program_alone(tmp_path):
    (tmp_path / "smsconvo.py").write_text(OTHER, "utf-8")
    options = ("--phones", "2", "--seconds", "0.5", "--rounds", "2")
    printed = run(tmp_path, {}, str(tmp_path), *options, program=HERE / "bench" / "compare.py")
    assert printed.returncode == 0, printed.stderr
    heading, *rows = printed.stdout.splitlines()
    assert heading.split() == ["2", "phones", "other", "this", "this", "÷", "other"]
    rows = {row.split()[0]: row for row in rows}
    for name in ("turns_per_second", "p99_ms", "cpu_ms_per_turn"):
        figures = list(map(float, re.findall(r"[\d.]+", rows[name].split(maxsplit=1)[1])))
        assert len(figures) == 9
        for median, least, greatest in zip(*[iter(figures)] * 3, strict=True):
            assert 0 < least <= median <= greatest
    assert rows["unanswered"].split()[1:3] == ["0", "(0"]
