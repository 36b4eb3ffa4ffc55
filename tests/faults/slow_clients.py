"""Clients that never finish: `slow_clients.py HOST:PORT HEADS BODIES`.

So many drip the head of a request, so many the body, a byte a second each; one that is cut comes
again. It says `ready` once all of them have been there.
"""

import asyncio
import sys
from contextlib import suppress

LINE = "POST /sms HTTP/1.1\r\nHost: {}\r\n"  # Caddy has no patience with other hosts
FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\nBody="
FORM += b"a" * 8192  # Caddy would keep less than 4 KiB back, even where it does not wait for all
PAUSE_SECONDS = 1


async def drip(address: tuple[str, str], start: bytes, connected: asyncio.Event) -> None:
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(start)
            connected.set()
            end = asyncio.ensure_future(reader.read())
            while not (await asyncio.wait([end], timeout=PAUSE_SECONDS))[0]:
                writer.write(b"a")
            writer.close()
            end.exception()  # whichever way it was cut
        await asyncio.sleep(PAUSE_SECONDS / 10)


async def main(address: str, heads: int, bodies: int) -> None:
    line = LINE.format(address).encode()
    starts = [line + b"X-Slow: "] * heads + [line + FORM] * bodies
    there = [asyncio.Event() for _ in starts]
    clients = [
        asyncio.ensure_future(drip(tuple(address.split(":")), start, event))
        for start, event in zip(starts, there, strict=True)
    ]
    for event in there:
        await event.wait()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*clients)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
