"""What a server did to its files, call by call, and what a power cut would have left of them.

strace records every call on the database and its log, and every answer. What a file holds after a
power cut is what was synced, and of what was written since any part: any of the writes, and of one
any of its sectors. That is all that disks and file systems promise (Pillai and others, OSDI 2014).
The -shm file counts for nothing: SQLite builds it anew.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
CALLS = "openat,pwrite64,fdatasync,fsync,ftruncate,unlink,writev,sendto,write"
LINE = re.compile(rb"(\d+) +(?:<\.\.\. )?(\w+)(.*)")
STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')


def strace(folder: Path) -> tuple[str, ...]:
    """The command to run a server under; -y names files, -xx makes strings plain to read."""
    options = ("-f", "-y", "-xx", "-s", "70000", "-e", f"trace={CALLS}", "-e", "signal=none")
    return ("strace", "-qq", *options, "-o", str(folder / "trace"))


class Call(NamedTuple):
    """One call: on a file of the database, or an answer (then the name is `answer`)."""

    name: str
    file: str
    data: bytes = b""
    place: int = 0


def read_calls(trace: Path, database: Path) -> Iterator[Call]:
    """In order: a write when it begins, a sync when it is over, an answer when it begins to leave.

    A call that another thread's interrupts is on two lines, with its arguments on the first.
    """
    begun: dict[bytes, bytes] = {}
    with open(trace, "rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break  # strace was killed while it wrote
            thread, name, rest = LINE.match(line).groups()
            resumed = b"resumed>" in rest[:12]
            whole = begun.pop(thread) + rest if resumed else rest
            interrupted = rest.endswith(b"<unfinished ...>")
            if interrupted:
                begun[thread] = rest
            late = name in (b"fdatasync", b"fsync")
            if interrupted if late else resumed:
                continue
            call = _read(name.decode(), whole, database)
            if call:
                yield call


def _read(name: str, rest: bytes, database: Path) -> Call | None:
    if name in ("writev", "sendto", "write"):
        data = b"".join(_bytes(found[1]) for found in STRING.finditer(rest))
        return Call("answer", "", data) if b"HTTP/1.1 200" in data else None
    found = re.match(rb"\(\d+<((?:\\x[0-9a-f]{2})+|[^>]*)>", rest)
    path = found and _path(found[1])
    if path not in (str(database), f"{database}-wal"):
        return None
    file = path.removeprefix(str(database))
    if name == "pwrite64":
        text = STRING.search(rest)
        data = _bytes(text[1])
        length, place = re.match(rb", (\d+), (\d+)", rest[text.end() :]).groups()
        assert len(data) == int(length), "strace cut a write short"
        return Call(name, file, data, int(place))
    if name == "ftruncate":
        return Call(name, file, place=int(re.search(rb">, (\d+)", rest)[1]))
    result = rest.rpartition(b"= ")[2].strip()
    assert result in (b"0", b"?"), rest[-80:]
    return Call("sync", file) if result == b"0" else None  # it was killed in it


def _bytes(escaped: bytes) -> bytes:
    return bytes.fromhex(escaped.replace(b"\\x", b"").decode())


def _path(name: bytes) -> str:
    return (_bytes(name) if name.startswith(b"\\x") else name).decode()


@dataclass
class File:
    """What is on the disk for certain, and what may be."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[Call] = field(default_factory=list)

    def take(self, call: Call) -> None:
        if call.name != "sync":
            self.since.append(call)
            return
        for one in self.since:
            apply(one, self.synced)
        self.since.clear()

    def after_power_cut(self, chance: random.Random) -> bytes:
        """One of the states that it may be found in."""
        content = bytearray(self.synced)
        kept = chance.choice((self._none, self._all, self._first, self._some))(chance)
        torn = chance.choice(kept) if kept and chance.random() < 0.5 else None
        for call in kept:
            for part in tear(call, chance) if call is torn else [call]:
                apply(part, content)
        return bytes(content)

    def _none(self, chance: random.Random) -> list[Call]:
        return []

    def _all(self, chance: random.Random) -> list[Call]:
        return self.since

    def _first(self, chance: random.Random) -> list[Call]:
        return self.since[: chance.randint(0, len(self.since))]

    def _some(self, chance: random.Random) -> list[Call]:
        share = chance.random()
        return [call for call in self.since if chance.random() < share]


def apply(call: Call, content: bytearray) -> None:
    if call.name == "ftruncate":
        del content[call.place :]
        content.extend(bytes(call.place - len(content)))
        return
    end = call.place + len(call.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[call.place : end] = call.data


def tear(call: Call, chance: random.Random) -> Iterable[Call]:
    """Some of the sectors of a write; a truncation is whole or not at all."""
    if call.name == "ftruncate":
        return [call]
    places = range(0, len(call.data), SECTOR)
    kept = [place for place in places if chance.random() < 0.5]
    return [
        call._replace(data=call.data[place : place + SECTOR], place=call.place + place)
        for place in kept
    ]
