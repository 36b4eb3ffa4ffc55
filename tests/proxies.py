"""The shipped proxies at work on loopback, without HTTPS, in front of whatever listens there."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import free_address

DEPLOY = Path(__file__).parent.parent / "deploy"
START_SECONDS = 30


# A pattern, and what to put there.
Change = tuple[str, str | Callable[[re.Match[str]], str]]


class Proxy(NamedTuple):
    """How to run one: what Debian calls it, its file, and the options before the file's path."""

    package: str
    file: str
    options: tuple[str, ...]
    adapt: Callable[[Path, str], str]


def adapt_caddyfile(home: Path, address: str, file: str = "Caddyfile") -> str:
    text = caddyfile_for(tool("caddy", "caddy"), file)
    text = replaced(text, "sms.example.org {", f"http://{address} {{")
    # The port for administration is another Caddy's, if one runs on this machine.
    return replaced(text, "{\n\tservers {", "{\n\tadmin off\n\tservers {")


def adapt_nginx_conf(home: Path, address: str) -> str:
    text = re.sub(r"\t\tssl_.*\n", "", nginx_conf_for(home, address))
    return replaced(text, f"{address} ssl;", f"{address};")


PROXIES = {
    "caddy": Proxy(
        "caddy", "Caddyfile", ("run", "--adapter", "caddyfile", "--config"), adapt_caddyfile
    ),
    "nginx": Proxy(
        "nginx-light", "nginx.conf", ("-e", "stderr", "-g", "daemon off;", "-c"), adapt_nginx_conf
    ),
}


@contextmanager
def proxying(name: str, home: Path, backend: str, change: Change | None = None) -> Iterator[str]:
    """Run a shipped proxy, all of whose files are below `home`; yields its address.

    A `change` is a pattern and what to put there, to show that a test notices.
    """
    address = free_address()
    text = replaced(PROXIES[name].adapt(home, address), "127.0.0.1:8080", backend)
    with running(name, home, address, text, change):
        yield address


@contextmanager
def balancing(
    home: Path, address: str, backends: list[str], change: Change | None = None
) -> Iterator[None]:
    """Run the shipped Caddy that balances, at this address."""
    text = adapt_caddyfile(home, address, "Caddyfile.several")
    text = replaced(text, "10.0.0.11:8080 10.0.0.12:8080", " ".join(backends))
    with running("caddy", home, address, text, change):
        yield


@contextmanager
def running(
    name: str, home: Path, address: str, text: str, change: Change | None
) -> Iterator[None]:
    proxy = PROXIES[name]
    program = tool(name, proxy.package)
    if change:
        text, count = re.subn(*change, text)
        assert count, change
    (home / proxy.file).write_text(text)
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(
            [program, *proxy.options, home / proxy.file],
            env=at_home(home),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(address, server, home / "log")
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # nginx's workers outlive a master that is killed
        server.wait()


def caddyfile_for(caddy: str, file: str = "Caddyfile") -> str:
    """A Caddyfile; for a Caddy newer than 2.6, edited as a comment there says."""
    text = (DEPLOY / file).read_text()
    version = subprocess.run([caddy, "version"], capture_output=True, text=True, timeout=30).stdout
    if re.match(r"v?2\.6\.", version):
        return text
    text = replaced(text, "\t\tbuffer_requests\n\t\tmax_buffer_size 128KiB\n", "")
    for directive in ("request_buffers", "lb_try_duration", "lb_try_interval"):
        text = replaced(text, f"# {directive}", directive)
    return text


def nginx_conf_for(home: Path, address: str) -> str:
    """nginx.conf with ports that anybody may have, and all that nginx writes below `home`."""
    text = (DEPLOY / "nginx.conf").read_text()
    text = replaced(text, "listen 80;\n\t\tlisten [::]:80;", f"listen {free_address()};")
    text = replaced(text, "listen 443 ssl;\n\t\tlisten [::]:443 ssl;", f"listen {address} ssl;")
    # Only root may name a user; its workers have to be root to reach what is below `home`.
    text = replaced(text, "user www-data;", "" if os.geteuid() else "user root;")
    text = replaced(text, "pid /run/", f"pid {home}/")
    # Warnings too, for it warns where it writes a body to a file.
    text = replaced(text, "error_log /var/log/nginx/error.log;", "error_log stderr warn;")
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    below = "".join(f"\t{path}_temp_path {home}/{path};\n" for path in paths)
    return replaced(text, "http {\n", f"http {{\n{below}")


def tool(name: str, package: str) -> str:
    """A program; not everybody's PATH has /usr/sbin."""
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin"
    return shutil.which(name, path=path) or pytest.skip(f"{name} is missing: apt install {package}")


def at_home(home: Path) -> dict[str, str]:
    """The environment, with all that a program may want to keep below `home`."""
    return os.environ | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_DATA_HOME": str(home),
    }


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.01)
    pytest.fail(f"The proxy does not listen:\n{log.read_text()}")
