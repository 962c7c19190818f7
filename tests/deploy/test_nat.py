"""What deploy/NETWORKS.md says about NATs: clients that know only the public address get through.

The kernel translates at the daemon's end, as a router, a cloud or a container bridge does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.deploy.guest import Guest
from tests.interop.polling import until_equal
from tests.interop.wire import Wire, need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

PUBLIC = "203.0.113.7"
FAR_HZ, NEAR_HZ = 440, 740


@pytest.fixture(scope="module")
def way() -> Iterator[Wire]:
    """The clients' end; what goes to the public address takes the default route."""
    need("nft")
    with Wire.laid() as laid, laid.at_the_clients():
        yield laid


def translate(way: Wire, outside: int, inside: int) -> None:
    """Have UDP to the public address and this port lead to the daemon, and nothing else to it."""
    rules = f"""
    table ip nat_{outside} {{
        chain arrivals {{
            type nat hook prerouting priority dstnat;
            ip daddr {PUBLIC} udp dport {outside} dnat to {way.pair.server_ipv4}:{inside}
        }}
        chain before {{
            type filter hook prerouting priority -300;
            iifname "veth0" ip daddr {way.pair.server_ipv4} meta l4proto udp drop
        }}
    }}"""
    enter = ("ip", "netns", "exec", way.pair.server)
    subprocess.run([*enter, "nft", "-f", "-"], input=rules, text=True, check=True)


@pytest.mark.parametrize("outside", [None, 443], ids=["one-to-one", "another port"])
async def test_a_client_outside_speaks_and_hears_through_the_nat(
    way: Wire, outside: int | None
) -> None:
    """It is told both addresses, as the guest beside the daemon is, and gets through by one."""
    announced = PUBLIC if outside is None else f"{PUBLIC}:{outside}"
    with way.daemon(f'media.announce=["{announced}"]', "media.announce_internal=true") as daemon:
        translate(way, outside or daemon.ports.media, daemon.ports.media)
        far, near = Guest([], FAR_HZ), Guest([], NEAR_HZ)
        async with daemon.client() as control:
            try:
                with way.at_the_daemon():
                    await near.join(control, "lobby", "near")
                await far.join(control, "lobby", "far")
                await until_equal(far.heard, {NEAR_HZ}, timeout_s=20.0)
                await until_equal(near.heard, {FAR_HZ}, timeout_s=20.0)
            finally:
                await far.close()
                await near.close()
