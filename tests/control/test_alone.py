"""A backend installs the SDK alone: it works without the daemon and without its dependencies."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys

ALLOWED = {"control", "msgpack", "msgspec"}


class Only:
    "Refuse whatever is neither of the standard library nor of the SDK's own."

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED and top not in sys.stdlib_module_names:
            raise ImportError(f"the SDK imports {name}")
        return None


sys.meta_path.insert(0, Only())
for blocked in ("sfu", "aiortc", "aiohttp", "uvloop", "structlog", "numpy"):
    try:
        __import__(blocked)
    except ImportError:
        continue
    raise SystemExit(f"{blocked} is not blocked: the test is worth nothing")

import asyncio

import control
import control.client
import control.server
import control.sfuctl
from control.errors import ControlError


class Nothing:
    async def submit(self, command):
        raise ControlError("unavailable", "nothing here")


async def main():
    async with control.server.Server(Nothing(), epoch="e") as server:
        endpoint = await server.start("127.0.0.1:0")
        async with control.Client(str(endpoint)) as client:
            try:
                await client.room_list()
            except ControlError as error:
                print(error)


asyncio.run(main())
"""


def test_the_sdk_needs_only_msgpack_and_msgspec() -> None:
    """Client, server and sfuctl are imported and used in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "unavailable: nothing here\n"), done.stderr
