import json
import re
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
    assert heading.split() == ["phones", "turns/s", "CPU", "ms/turn", "p99", "ms"]
    row = r" +2  {} +" + r" +".join([r"([\d.]+) \(([\d.]+) to ([\d.]+)\)"] * 3)
    for name, line in zip(("this", "other", "this ÷ other"), rows, strict=True):
        figures = list(map(float, re.fullmatch(row.format(name), line).groups()))
        for median, least, greatest in zip(*[iter(figures)] * 3, strict=True):
            assert 0 < least <= median <= greatest
