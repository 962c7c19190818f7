"""Whoever leaves is gone at once: nothing of a participant waits for the garbage collector.

A collector that has nothing to find need not run often, and its pauses are heard.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from control.commands import (
    ParticipantMove,
    ParticipantRemove,
    ParticipantRestartIce,
    RoomClose,
    RoomCreate,
)
from control.types import Role
from sfu.shell.dtls_openssl import OpensslDtls
from sfu.transport.address import pack_address
from sfu.transport.dtls import DtlsState
from tests.shell.dtls_client import DtlsClient
from tests.shell.test_dtls_openssl import connect, feed
from tests.worker.harness import Bench, offer
from tests.worker.test_worker import check, credentials

# What exists once or more for each participant.
TYPES = frozenset(
    {
        "Consent",
        "IceCredentials",
        "IceLite",
        "Negotiation",
        "NegotiatedMedia",
        "Participant",
        "Peer",
        "Reporter",
        "Transport",
    }
)


def alive() -> Counter[str]:
    """How many of each there are; objects in unreachable cycles count."""
    return Counter(name for one in gc.get_objects() if (name := type(one).__name__) in TYPES)


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def arrive(bench: Bench, name: str, number: int) -> None:
    """Join and pass a check."""
    joined = bench.join(name, Role.SPEAKER if number % 2 else Role.LISTENER)
    address = pack_address("192.0.2.9", 4_000 + number)
    bench.receive(check(*credentials(joined.answer)), address)


def test_a_leave_frees_everything_without_a_collection() -> None:
    bench = Bench()
    bench.room()
    arrive(bench, "stays", 0)
    before = alive()
    assert set(before) == TYPES
    for number in range(1, 11):
        arrive(bench, f"p{number}", number)
    assert alive()["Transport"] == before["Transport"] + 10
    for number in range(1, 10):
        bench.run(ParticipantRemove(room="r", participant=f"p{number}"))
    arrive(bench, "p10", 12)  # replaces
    bench.run(ParticipantRemove(room="r", participant="p10"))
    bench.wait(bench.worker._registry.settings.join_timeout_s + 1.0)  # stale timers are gone
    assert sum(alive().values()) <= sum(before.values())


def test_moves_and_restarts_leave_nothing_behind() -> None:
    bench = Bench()
    bench.room()
    bench.room("s")
    before, sizes = alive(), bench.worker.sizes()
    for number in range(1, 6):
        arrive(bench, "p", number)
        for turn in range(6):
            here, there = ("r", "s") if turn % 2 == 0 else ("s", "r")
            bench.run(ParticipantMove(room=here, participant="p", to_room=there))
            renewed = offer(ufrag=f"again{turn}", pwd="q" * 24)
            restart = ParticipantRestartIce(room=there, participant="p", offer=renewed)
            answer = bench.run(restart).answer
            if turn % 3 == 0:
                data = check(*credentials(answer), f"again{turn}")
                bench.receive(data, pack_address("192.0.2.8", 4_000 + turn))
        bench.run(ParticipantRemove(room="r", participant="p"))
    bench.wait(bench.worker._registry.settings.join_timeout_s + 1.0)  # stale timers are gone
    assert alive() == before and bench.worker.sizes() == sizes
    peers = bench.worker._registry.peers
    held = (peers._by_participant, peers._by_ufrag, peers._by_row, peers._by_source)
    assert not any(held) and not peers._by_address


def test_whoever_never_comes_and_a_closed_room_leave_nothing() -> None:
    bench = Bench(join_timeout_s=1.0)
    before = alive()
    bench.run(RoomCreate(room="other"))
    bench.room()
    for number in range(5):
        bench.join(f"p{number}")
    bench.wait(2.0)
    arrive(bench, "q", 1)
    bench.run(RoomClose(room="r"))
    bench.wait(120.0)
    assert alive() == before


def test_an_association_leaves_nothing() -> None:
    """Neither a finished one nor one that failed, in which OpenSSL raised."""
    factory = OpensslDtls()
    connect(factory, DtlsClient())
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        endpoint = connect(factory, DtlsClient())
        endpoint.close()
        client = DtlsClient()
        failed = factory.accept(DtlsClient().fingerprints())
        feed(failed, client.receive(feed(failed, client.start())))
        assert failed.state is DtlsState.FAILED
        nonsense = factory.accept(())
        nonsense.receive(b"\x16\xfe\xfd" + bytes(100), 0.0)
        del endpoint, failed, nonsense, client
        gc.collect()
        left = {type(one).__name__ for one in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not left & {"OpensslEndpoint", "Connection", "Epilogue", "SSLError", "Error"}, left
