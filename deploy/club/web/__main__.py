"""`python -m deploy.club.web`: the club's web server in front of a daemon that runs elsewhere.

For services and containers, where each process has its own keeper; `python -m deploy.club`
starts everything together. It goes on while the daemon is away: pages are told so. Several of it
may run at once with one PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence

from control import Client
from control.errors import ConnectionLost, ControlError
from deploy.club.connecting import OptionError, client_of
from deploy.club.settings import Settings
from deploy.club.web.logs import to_stderr
from deploy.club.web.options import Appointed, hosts_of, parse_arguments, settings_of
from deploy.club.web.serving import running

RETRY_S = 1.0


async def serve(
    control: Client, settings: Settings, hosts: Sequence[Appointed], host: str, port: int
) -> None:
    """Serve until a signal ends it. Raises OptionError for what cannot be used."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings, control, host, port, hosts):
        print(f"club: serving on {host}:{port}", flush=True)
        await _stay(control, stop)


async def _stay(control: Client, stop: asyncio.Event) -> None:
    """Until the signal. Raises OptionError when the daemon refuses the key."""
    connecting = asyncio.create_task(_connect(control))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((connecting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            connecting.result()
            await stopped
    except ControlError as error:
        raise OptionError(f"the daemon refuses: {error}") from None
    finally:
        connecting.cancel()
        stopped.cancel()


async def _connect(control: Client) -> None:
    """Make the first connection, however long the daemon takes to come."""
    while True:
        with contextlib.suppress(ConnectionLost):
            await control.connect()
            return
        await asyncio.sleep(RETRY_S)


def main() -> None:
    """Command line entry."""
    to_stderr(as_json=True)
    options = parse_arguments()
    try:
        control = client_of(options, "club")
        settings, hosts = settings_of(options), hosts_of(options)
        asyncio.run(serve(control, settings, hosts, options.host, options.port))
    except OptionError as error:
        print(f"club: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
