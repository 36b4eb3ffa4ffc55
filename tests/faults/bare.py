"""The app without the server around it: `bare.py SOCKET QUESTIONNAIRES`.

A sweep needs hundreds of processes, each to be failed at another system call. `serve` takes two
seconds to start, this some milliseconds: each connection to the socket is a fork. The first one
alone is not, so that all others are born with everything that a first text imports and compiles.

One line of JSON comes in, `{"database": …, "weakness": …}`; the fork says its pid and its port,
waits for a line (to be traced from its first system call on), answers guests, and ends in order
when whoever connected hangs up.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from socketserver import ForkingMixIn, StreamRequestHandler, UnixStreamServer
from threading import Thread
from wsgiref.simple_server import make_server

import weakened
from conftest import ACCOUNT_SID, AUTH_TOKEN, QuietHandler, Threaded
from patching import patch_item

from settings import Settings
from smsconvo import create_app
from storage.sqlite_connection import PRAGMAS, WRITER_PRAGMAS

PR_SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)  # prctl(2): Yama lets only parents trace

# So few texts would never come to a checkpoint, nor to the truncation of the log.
patch_item(WRITER_PRAGMAS, "wal_autocheckpoint", 20)
patch_item(PRAGMAS, "journal_size_limit", 4096)


class Bare(StreamRequestHandler):
    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY)
        if asked["weakness"]:
            getattr(weakened, asked["weakness"])()
        with make_server("127.0.0.1", 0, None, Threaded, QuietHandler) as server:
            self.wfile.write(f"{os.getpid()} {server.server_port}\n".encode())
            self.rfile.readline()
            app = create_app(settings(asked["database"], server.server_port))
            server.set_app(app)
            Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            self.wfile.write(b"ready\n")
            self.rfile.read()
            server.shutdown()
        app.database.close()


def settings(path: str, port: int) -> Settings:
    return Settings(
        database_url=f"sqlite:///{path}",
        account_sid=ACCOUNT_SID,
        auth_tokens=(AUTH_TOKEN,),
        public_url=f"http://127.0.0.1:{port}",
        questionnaires=Path(sys.argv[2]),
    )


class Mother(ForkingMixIn, UnixStreamServer):
    """Its children may be many, and none is waited for."""

    request_queue_size = 64
    block_on_close = False


if __name__ == "__main__":
    with Mother(sys.argv[1], Bare) as mother:
        print("ready", flush=True)
        UnixStreamServer.process_request(mother, *mother.get_request())
        mother.serve_forever(0.05)
