"""The operators' HTTP: probes tell the truth, a taken port is one line."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from sfu.shell.endpoint import Endpoint
from sfu.shell.ops_http import OpsHttp
from sfu.shell.udp import ListenError

LOOPBACK = Endpoint("127.0.0.1", 0)


class Rig:
    """A served OpsHttp whose readiness a test sets."""

    def __init__(self) -> None:
        self.is_ready = False
        self.http = OpsHttp(
            metrics=self.metrics,
            is_ready=lambda: self.is_ready,
            effective=lambda: {"node": "n"},
        )
        self.endpoint = LOOPBACK

    async def metrics(self) -> bytes:
        """Of a daemon."""
        return b"rostrum_rooms 1\n"

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self.endpoint}{path}") as response,
        ):
            return response.status, await response.text()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Listening on a free port."""
    rig = Rig()
    rig.endpoint = await rig.http.serve(LOOPBACK)
    yield rig
    await rig.http.close()
    await rig.http.close()


async def test_ready_follows_the_daemon_and_alive_does_not(rig: Rig) -> None:
    assert (await rig.get("/readyz"))[0] == 503
    assert (await rig.get("/livez"))[0] == 200
    rig.is_ready = True
    assert (await rig.get("/readyz"))[0] == 200
    rig.is_ready = False
    assert (await rig.get("/readyz"))[0] == 503
    assert (await rig.get("/livez"))[0] == 200


async def test_metrics_and_configuration_are_served(rig: Rig) -> None:
    assert await rig.get("/metrics") == (200, "rostrum_rooms 1\n")
    assert await rig.get("/config/effective") == (200, '{"node": "n"}')
    assert (await rig.get("/elsewhere"))[0] == 404


async def test_a_taken_port_is_one_line(rig: Rig) -> None:
    with pytest.raises(ListenError) as caught:
        await Rig().http.serve(rig.endpoint)
    assert str(caught.value) == (
        f"http.listen: cannot listen on {rig.endpoint}: another program listens there already"
    )
