"""`python -m deploy.club`: the daemon, the bots and the club's web server together, until Ctrl-C.

The club is new each time: its database is a file in a temporary folder. It has one host, whose
room is live and has two bots on its stage, and one invitation that is still good. The daemon and
the bots are children of this process and are ended by their process ids. Whatever cannot start is
said in one line, and the exit status is 2.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import socket
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from control import Client
from deploy.club.connecting import OptionError
from deploy.club.door.invitations import invite
from deploy.club.door.signing_up import appoint
from deploy.club.hall.opening import open_room
from deploy.club.hall.plans import Plan
from deploy.club.settings import Settings
from deploy.club.web.logs import to_stderr
from deploy.club.web.parts import utc_now
from deploy.club.web.serving import Club, running

# Nothing is sent there: in development the page shows the code.
HOST_PHONE = "+4915120000001"
HOST_NAME = "Demo host"
START_TIMEOUT_S = 15.0
READY_POLL_S = 0.1
# The daemon promises to leave within 2 s of SIGTERM.
STOP_TIMEOUT_S = 5.0


class DemoError(Exception):
    """The demo cannot run; the text is the one line that says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    host: str
    port: int
    control_port: int
    http_port: int
    media_listen: str
    bots: bool
    once: bool


class Child:
    """A child process that is ended by its own id; `stop` is idempotent."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process

    @classmethod
    async def start(cls, name: str, *arguments: str) -> Child:
        """Run `python ARGUMENTS`, in a session of its own so that Ctrl-C is ours to pass on."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, start_new_session=True
        )
        return cls(name, process)

    async def stop(self) -> None:
        """Ask with SIGTERM, insist with SIGKILL after STOP_TIMEOUT_S."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start_daemon(options: Options) -> Child:
    """`sfu serve`, ready to take rooms. DemoError when it does not get there."""
    daemon = await Child.start(
        "daemon",
        *("-m", "sfu.shell.cli", "serve"),
        *("--set", f"control.listen=127.0.0.1:{options.control_port}"),
        *("--set", f"media.listen={options.media_listen}"),
        *("--set", f"http.listen=127.0.0.1:{options.http_port}"),
        *("--set", "log.format=console"),
    )
    try:
        await _wait_ready(daemon, f"http://127.0.0.1:{options.http_port}/readyz")
    except BaseException:
        await daemon.stop()
        raise
    return daemon


async def _wait_ready(daemon: Child, url: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_TIMEOUT_S
    async with aiohttp.ClientSession() as session:
        while loop.time() < deadline:
            if daemon.process.returncode is not None:
                raise DemoError("the daemon did not start; its last line says why")
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(READY_POLL_S)
    raise DemoError(f"the daemon was not ready after {START_TIMEOUT_S:.0f} s ({url})")


def check_port(options: Options) -> None:
    """Raises DemoError when the pages' port is taken, before anything else is started."""
    try:
        socket.create_server((options.host, options.port)).close()
    except OSError as error:
        raise DemoError(
            f"cannot listen on {options.host}:{options.port}: {os.strerror(error.errno or 0)}; "
            "choose another with --port"
        ) from None


@dataclass(frozen=True, slots=True)
class Furnished:
    """What a newcomer finds in the new club."""

    room: str
    invitation: str


async def furnish(club: Club) -> Furnished:
    """A host, a live room of theirs, and an invitation."""
    now = utc_now()
    plan = Plan(
        topic="Two bots in conversation",
        about="They speak no language. Raise a hand, and the host can call you up.",
        interests=frozenset({"music"}),
    )
    async with club.store.begin() as tx:
        host = await appoint(tx, club.settings, HOST_PHONE, HOST_NAME, now)
        room = await open_room(tx, host, plan, now)
        invitation = await invite(tx, club.settings, host, "", now)
    return Furnished(room.id, invitation.code)


def addresses(base_url: str, furnished: Furnished) -> str:
    """What a newcomer reads."""
    return "\n".join(
        (
            "",
            "  The club is open.",
            "",
            f"  Come in      {base_url}/i/{furnished.invitation}",
            f"  Without an invitation, wait at the door: {base_url}/",
            f"  Its host     sign in with {HOST_PHONE}; the page shows the code",
            f"  The room     {base_url}/rooms/{furnished.room}",
            "",
            "  Use two browsers, or a private window beside this one. Ctrl-C closes the club.",
            "",
        )
    )


def demo_settings(options: Options, folder: Path) -> Settings:
    """A new club in `folder`."""
    shown = "localhost" if options.host in ("127.0.0.1", "localhost") else options.host
    return Settings(
        database_url=f"sqlite+aiosqlite:///{folder / 'club.sqlite'}",
        secret=secrets.token_bytes(32),
        base_url=f"http://{shown}:{options.port}",
        is_development=True,
    )


async def run(options: Options) -> None:
    """Start everything, stay until a signal or the daemon's end, stop everything."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    control = Client("127.0.0.1", options.control_port, name="club")
    async with AsyncExitStack() as ending:
        check_port(options)
        daemon = await start_daemon(options)
        ending.push_async_callback(daemon.stop)
        await control.connect()
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="rostrum-club-")))
        settings = demo_settings(options, folder)
        club = await ending.enter_async_context(
            running(settings, control, options.host, options.port)
        )
        furnished = await furnish(club)
        if options.bots:
            ending.push_async_callback((await _start_bots(options, furnished.room)).stop)
        print(addresses(settings.base_url, furnished), flush=True)
        if not options.once:
            await _wait_for_end(stop, daemon)


async def _start_bots(options: Options, room: str) -> Child:
    return await Child.start(
        "bots",
        *("-m", "deploy.club.bots"),
        *("--control", f"127.0.0.1:{options.control_port}", "--room", room),
    )


async def _wait_for_end(stop: asyncio.Event, daemon: Child) -> None:
    stopped = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(daemon.process.wait())
    await asyncio.wait((stopped, ended), return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, ended):
        task.cancel()
    if not stop.is_set():
        raise DemoError(f"the daemon ended with status {daemon.process.returncode}")


def parse_arguments(arguments: list[str] | None = None) -> Options:
    """The command line as Options; argparse exits with status 2 for a bad one."""
    parser = argparse.ArgumentParser(
        prog="deploy.club", description="A drop-in audio club on this machine."
    )
    parser.add_argument("--host", default="127.0.0.1", help="where the pages are served")
    parser.add_argument("--port", type=int, default=8080, help="the pages' port")
    parser.add_argument(
        "--media-listen",
        default="0.0.0.0:7800",
        metavar="HOST:PORT",
        help="the daemon's UDP port; browsers that ignore loopback need a real address",
    )
    parser.add_argument("--control-port", type=int, default=7700, help="the daemon's control port")
    parser.add_argument("--http-port", type=int, default=7780, help="the daemon's operator port")
    parser.add_argument("--no-bots", action="store_true", help="leave the room to people")
    parser.add_argument("--once", action="store_true", help="start, print the addresses and stop")
    chosen = parser.parse_args(arguments)
    return Options(
        host=chosen.host,
        port=chosen.port,
        control_port=chosen.control_port,
        http_port=chosen.http_port,
        media_listen=chosen.media_listen,
        bots=not chosen.no_bots,
        once=chosen.once,
    )


def main() -> None:
    """Command line entry."""
    to_stderr(as_json=False)
    try:
        asyncio.run(run(parse_arguments()))
    except (DemoError, OptionError) as error:
        print(f"club: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
