"""A well-behaved backend in a process of its own, which tells how soon it is answered.

    python -m tests.interop.healthy PORT KEY_ID SECRET ROOM

One command every few milliseconds. For each line on its standard input it prints, as one line of
JSON, the latencies (ms) since the line before, and starts anew; it ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from control import Client, Key

PAUSE_S = 0.004


async def ask(client: Client, room: str, latencies_ms: list[float]) -> None:
    """For ever: what a backend asks and does."""
    while True:
        for call in (client.room_get, client.room_lock, client.room_unlock):
            begun = time.perf_counter()
            await call(room=room)
            latencies_ms.append((time.perf_counter() - begun) * 1e3)
            await asyncio.sleep(PAUSE_S)


async def main(port: int, key: Key, room: str) -> None:
    """Until the input ends, or a command fails."""
    latencies_ms: list[float] = []
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with Client("127.0.0.1", port, key=key, automatic_keys=False) as client:
        await client.room_create(room=room)
        asking = asyncio.create_task(ask(client, room, latencies_ms))
        print("ready", flush=True)
        while await lines.readline():
            if asking.done():
                break
            print(json.dumps(latencies_ms), flush=True)
            latencies_ms.clear()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Key(sys.argv[2], sys.argv[3].encode()), sys.argv[4]))
