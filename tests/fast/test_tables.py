"""The forwarder's tables: growth, limits, ids, and nothing left behind."""

from __future__ import annotations

import gc
import itertools
import os
import resource
import time
from collections.abc import Callable
from typing import Any

import pytest

from sfu.fast import Forwarder
from tests.fast.peer import (
    PAYLOAD_TYPE,
    TALK,
    Listener,
    Peer,
    Talker,
    address_of,
    passed,
)

NOW = 10.0
SANITIZED = bool(os.environ.get("ROSTRUM_SANITIZED"))
SSRCS = itertools.count(0x100)
EMPTY = dict.fromkeys("transports addresses sources slots streams egresses audiences".split(), 0)


def _add_source(forwarder: Forwarder, transport: int) -> int:
    return forwarder.add_source(transport, csrc=1, echo_group=1, payload_type=PAYLOAD_TYPE)


def _add_egress(forwarder: Forwarder, transport: int, **changes: int | bytes) -> int:
    settings: dict[str, int | bytes] = {
        "ssrc": next(SSRCS),
        "payload_type": PAYLOAD_TYPE,
        "first_sequence": 1,
        "first_timestamp": 0,
        "echo_group": 1,
    }
    return forwarder.add_egress(transport, **(settings | changes))  # type: ignore[arg-type]


def test_capacity_grows_with_the_audience() -> None:
    """Far past any first size, everybody hears everything."""
    forwarder = Forwarder()
    talker = Talker(1, forwarder)
    slot = forwarder.add_slot()
    forwarder.assign(slot, talker.source, NOW)
    listeners = [Listener(number, forwarder) for number in range(2, 1_002)]
    for listener in listeners:
        forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    for turn in range(2):
        sent = passed(forwarder, NOW + turn, (talker.talk(), talker.address))
        by_address = {address: data for data, address in sent}
        assert len(sent) == len(by_address) == 1_000
        for listener in listeners:
            assert listener.hear(by_address[listener.address]).payload == TALK
    assert forwarder.sizes()["egresses"] == 1_000


def test_many_slots_have_streams_of_their_own() -> None:
    """What one slot carries is not heard on another."""
    forwarder = Forwarder()
    talkers = [Talker(number, forwarder) for number in range(1, 301)]
    heard = {}
    for talker in talkers:
        slot = forwarder.add_slot()
        forwarder.assign(slot, talker.source, NOW)
        listener = Listener(1_000 + talker.number, forwarder)
        forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
        heard[listener.address] = (listener, talker.number)
    for first in range(0, 300, 100):
        talk = [(talker.talk(), talker.address) for talker in talkers[first : first + 100]]
        for data, address in passed(forwarder, NOW, *talk):
            listener, number = heard.pop(address)
            assert listener.hear(data).csrcs == (number,)
    assert not heard


def test_a_transport_has_eight_addresses() -> None:
    """One more is refused; another one fits when one has gone; the same one again is no new one."""
    forwarder = Forwarder()
    transport = forwarder.add_transport()
    for number in range(8):
        forwarder.allow(transport, address_of(number))
        forwarder.allow(transport, address_of(number))
    with pytest.raises(OverflowError, match="8"):
        forwarder.allow(transport, address_of(8))
    forwarder.revoke(address_of(3))
    forwarder.allow(transport, address_of(8))
    assert forwarder.sizes()["addresses"] == 8


def test_a_lost_address_makes_room_for_its_former_owner() -> None:
    """Who loses an address to somebody else may have another one."""
    forwarder = Forwarder()
    one, two = forwarder.add_transport(), forwarder.add_transport()
    for number in range(8):
        forwarder.allow(one, address_of(number))
    forwarder.allow(two, address_of(0))
    forwarder.allow(one, address_of(99))
    assert forwarder.sizes()["addresses"] == 9


def test_a_transport_has_sixteen_egresses_and_one_source() -> None:
    """More is a mistake, and says so."""
    forwarder = Forwarder()
    transport = forwarder.add_transport()
    egresses = [_add_egress(forwarder, transport) for _ in range(16)]
    with pytest.raises(OverflowError, match="16"):
        _add_egress(forwarder, transport)
    forwarder.remove_egress(egresses[5])
    _add_egress(forwarder, transport)
    _add_source(forwarder, transport)
    with pytest.raises(ValueError):
        _add_source(forwarder, transport)
    assert forwarder.sizes()["egresses"] == 16
    assert forwarder.sizes()["sources"] == 1


@pytest.mark.parametrize(
    ("what", "row"),
    [("transports", "add_transport"), ("slots", "add_slot")],
)
def test_a_table_has_an_end(what: str, row: str) -> None:
    """65,536 rows; the next one is refused, and nothing is half there."""
    forwarder = Forwarder()
    for _ in range(65_536):
        getattr(forwarder, row)()
    before = forwarder.sizes()
    with pytest.raises(OverflowError, match="65536"):
        getattr(forwarder, row)()
    assert forwarder.sizes() == before
    assert before[what] == 65_536


def test_every_slot_may_have_all_its_streams() -> None:
    """Streams have no end before slots have."""
    forwarder = Forwarder()
    for slot in [forwarder.add_slot() for _ in range(22_000)]:
        streams = {forwarder.slot_stream(slot, redundancy) for redundancy in range(3)}
        assert len(streams) == 3
    assert forwarder.sizes()["streams"] == 66_000


@pytest.mark.parametrize(
    "changes",
    [
        {"first_sequence": 0},
        {"first_sequence": 32_768},
        {"payload_type": 128},
        {"mid_extension": 4, "mid": b"seventeen-bytes-1"},
    ],
)
def test_an_egress_that_could_not_work_is_refused(changes: dict[str, int | bytes]) -> None:
    """Mistakes of the caller, told at once, and nothing is half there."""
    forwarder = Forwarder()
    with pytest.raises(ValueError):
        _add_egress(forwarder, forwarder.add_transport(), **changes)
    assert forwarder.sizes() == EMPTY | {"transports": 1}


def test_a_source_holds_at_most_one_slot() -> None:
    """It must leave the first one before."""
    forwarder = Forwarder()
    source = _add_source(forwarder, forwarder.add_transport())
    one, two = forwarder.add_slot(), forwarder.add_slot()
    forwarder.assign(one, source, NOW)
    forwarder.assign(one, source, NOW)
    with pytest.raises(ValueError):
        forwarder.assign(two, source, NOW)
    forwarder.assign(one, -1, NOW)
    forwarder.assign(two, source, NOW)


USES: dict[str, Callable[[Forwarder, int], object]] = {
    "remove_transport": lambda f, i: f.remove_transport(i),
    "set_keys": lambda f, i: f.set_keys(i, *Peer(1).server_sessions()),
    "allow": lambda f, i: f.allow(i, address_of(1)),
    "route": lambda f, i: f.route(i, address_of(1)),
    "add_source": lambda f, i: _add_source(f, i),
    "add_egress": lambda f, i: _add_egress(f, i),
    "remove_source": lambda f, i: f.remove_source(i),
    "set_audible": lambda f, i: f.set_audible(i, True),
    "level": lambda f, i: f.level(i, NOW),
    "levels": lambda f, i: f.levels([i], NOW),
    "source_stats": lambda f, i: f.source_stats(i),
    "remove_slot": lambda f, i: f.remove_slot(i),
    "assign": lambda f, i: f.assign(i, -1, NOW),
    "slot_stream": lambda f, i: f.slot_stream(i),
    "carriers": lambda f, i: f.carriers(i),
    "push": lambda f, i: f.push(i, TALK, NOW),
    "remove_egress": lambda f, i: f.remove_egress(i),
    "subscribe": lambda f, i: f.subscribe(i, -1),
    "egress_stats": lambda f, i: f.egress_stats(i),
    "accept": lambda f, i: f.accept(i),
}


@pytest.mark.parametrize("use", USES)
def test_an_id_that_is_not_alive_raises(use: str) -> None:
    """Never given out, out of range, negative, or removed."""
    forwarder = Forwarder()
    with pytest.raises(KeyError):
        USES[use](forwarder, 0)
    transport = forwarder.add_transport()
    source = _add_source(forwarder, transport)
    _add_egress(forwarder, transport)
    slot = forwarder.add_slot()
    forwarder.remove_slot(slot)
    forwarder.remove_source(source)
    forwarder.remove_transport(transport)
    for wrong in (0, 1, 63, 64, 70_000, 2**31 - 1, -1, -(2**31)):
        with pytest.raises(KeyError):
            USES[use](forwarder, wrong)


def test_assigning_or_subscribing_to_what_is_gone_raises() -> None:
    """The second id is checked as well, and the row stays as it was."""
    forwarder = Forwarder()
    talker = Talker(1, forwarder)
    listener = Listener(2, forwarder)
    slot = forwarder.add_slot()
    forwarder.assign(slot, talker.source, NOW)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    for wrong in (1, 99, -2):
        with pytest.raises(KeyError):
            forwarder.assign(slot, wrong, NOW)
        with pytest.raises(KeyError):
            forwarder.subscribe(listener.egress, wrong)
    assert len(passed(forwarder, NOW, (talker.talk(), talker.address))) == 1


def test_a_transport_takes_everything_of_its_own_with_it() -> None:
    """Addresses, source, egresses, its place in slots and streams."""
    forwarder = Forwarder()
    talker, listener = Talker(1, forwarder), Listener(2, forwarder)
    slot = forwarder.add_slot()
    forwarder.assign(slot, talker.source, NOW)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    forwarder.remove_transport(talker.transport)
    forwarder.remove_transport(listener.transport)
    assert forwarder.sizes() == EMPTY | {"slots": 1, "streams": 1}
    assert not passed(forwarder, NOW, (talker.talk(), talker.address))
    assert forwarder.counters()["dropped_unvalidated"] == 1


def test_a_stream_tells_how_many_carry_it() -> None:
    forwarder = Forwarder()
    slot = forwarder.add_slot()
    plain, red = forwarder.slot_stream(slot), forwarder.slot_stream(slot, 1)
    transport = forwarder.add_transport()
    egress = _add_egress(forwarder, transport, red_payload_type=63)
    assert forwarder.carriers(plain) == 0
    forwarder.subscribe(egress, plain)
    forwarder.subscribe(egress, plain)
    assert (forwarder.carriers(plain), forwarder.carriers(red)) == (1, 0)
    forwarder.subscribe(egress, red)
    assert (forwarder.carriers(plain), forwarder.carriers(red)) == (0, 1)
    forwarder.remove_transport(transport)
    assert forwarder.carriers(red) == 0


def test_a_slot_that_goes_leaves_its_listeners_silent() -> None:
    """And its holder without a slot; both can go on elsewhere."""
    forwarder = Forwarder()
    talker, listener = Talker(1, forwarder), Listener(2, forwarder)
    first = forwarder.add_slot()
    forwarder.assign(first, talker.source, NOW)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(first))
    [(data, _)] = passed(forwarder, NOW, (talker.talk(), talker.address))
    assert listener.hear(data).sequence == 100
    forwarder.remove_slot(first)
    assert not passed(forwarder, NOW + 1, (talker.talk(), talker.address))
    second = forwarder.add_slot()
    forwarder.assign(second, talker.source, NOW + 1)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(second))
    [(data, _)] = passed(forwarder, NOW + 2, (talker.talk(), talker.address))
    assert listener.hear(data).sequence == 101


def test_an_id_that_is_given_out_again_starts_anew() -> None:
    """No state of a former row shows through in its successor's."""
    forwarder = Forwarder()
    fresh = _life(forwarder, 1)
    again = _life(forwarder, 100)
    assert again == fresh


def _life(forwarder: Forwarder, number: int) -> list[object]:
    """A room from beginning to end; returns all that could be seen of it."""
    talker = Talker(number, forwarder, csrc=5, echo_group=number)
    listener = Listener(number + 1, forwarder, ssrc=9, level_extension=3)
    rival = Talker(number + 2, forwarder)
    slot = forwarder.add_slot()
    stream = forwarder.slot_stream(slot)
    seen: list[object] = [
        tuple(forwarder.level(talker.source, NOW)),
        tuple(forwarder.source_stats(talker.source)),
        tuple(forwarder.egress_stats(listener.egress)),
    ]
    seen.append(passed(forwarder, NOW, (talker.talk(level=60), talker.address)))
    forwarder.assign(slot, talker.source, NOW)
    forwarder.subscribe(listener.egress, stream)
    for turn in range(110):
        now = NOW + 0.01 * turn
        datagrams = [(talker.talk(), talker.address), (rival.talk(), rival.address)]
        sent = passed(forwarder, now, *datagrams)
        seen += [listener.hear(data) for data, _ in sent]
    seen += [level for _, level, _ in forwarder.challenges()]
    seen.append(tuple(forwarder.level(talker.source, NOW + 3)))
    seen.append(tuple(forwarder.source_stats(rival.source))[1:])
    seen.append(tuple(forwarder.egress_stats(listener.egress)))
    forwarder.remove_slot(slot)
    for peer in (talker, listener, rival):
        forwarder.remove_transport(peer.transport)
    assert forwarder.sizes() == EMPTY
    return seen


def test_keys_may_be_given_anew() -> None:
    """A client that starts over with new keys is heard with those."""
    forwarder = Forwarder()
    talker, listener = Talker(1, forwarder), Listener(2, forwarder)
    slot = forwarder.add_slot()
    forwarder.assign(slot, talker.source, NOW)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    for turn in range(3):
        forwarder.set_keys(talker.transport, *Peer(1).server_sessions())
        gc.collect()
        assert len(passed(forwarder, NOW + turn, (talker.talk(), talker.address))) == 1


def test_ten_thousand_rooms_come_and_go_and_leave_nothing() -> None:
    """Sizes are zero and memory stands still."""
    forwarder = Forwarder()
    keys = [Peer(number).server_sessions() for number in range(4)]

    def turn(number: int) -> None:
        transport = forwarder.add_transport()
        forwarder.set_keys(transport, *keys[number % 4])
        for extra in range(number % 8 + 1):
            forwarder.allow(transport, address_of(number * 8 + extra))
        forwarder.route(transport, address_of(number * 8))
        source, slot = _add_source(forwarder, transport), forwarder.add_slot()
        forwarder.assign(slot, source, NOW)
        for extra in range(number % 5):
            egress = _add_egress(forwarder, transport, echo_group=2, ssrc=extra + 1)
            forwarder.subscribe(egress, forwarder.slot_stream(slot))
        if number % 2:
            forwarder.remove_slot(slot)
            forwarder.remove_transport(transport)
        else:
            forwarder.remove_transport(transport)
            forwarder.remove_slot(slot)

    for number in range(2_000):
        turn(number)
    before = _memory_bytes()
    for number in range(2_000, 12_000):
        turn(number)
    assert forwarder.sizes() == EMPTY
    # The sanitizer keeps freed memory back, so there only the sizes tell.
    assert SANITIZED or _memory_bytes() - before < 1_000_000


def test_sessions_are_let_go_with_their_transport() -> None:
    """Key material does not outlive who it was made for."""
    forwarder = Forwarder()

    class Watched:
        def __init__(self, session: object) -> None:
            self._srtp = session._srtp  # type: ignore[attr-defined]

        def __del__(self) -> None:
            gone.append(self)

    gone: list[object] = []
    transport = forwarder.add_transport()
    forwarder.set_keys(transport, *(Watched(one) for one in Peer(1).server_sessions()))
    gc.collect()
    assert not gone
    forwarder.remove_transport(transport)
    gc.collect()
    assert len(gone) == 2


def test_a_forwarder_that_goes_in_the_middle_of_its_work_goes_quietly() -> None:
    """Rows, sessions and a batch half drained."""
    forwarder = Forwarder()
    talker, listener = Talker(1, forwarder), Listener(2, forwarder)
    slot = forwarder.add_slot()
    forwarder.assign(slot, talker.source, NOW)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    forwarder.push(forwarder.slot_stream(slot), TALK, NOW)
    del forwarder
    gc.collect()


def _memory_bytes() -> int:
    """Resident memory now."""
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def test_wrong_sessions_change_nothing() -> None:
    """A TypeError or AttributeError, and the old keys stay in force."""
    forwarder = Forwarder()
    talker, listener = Talker(1, forwarder), Listener(2, forwarder)
    slot = forwarder.add_slot()
    forwarder.assign(slot, talker.source, NOW)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    receive, _ = Peer(77).server_sessions()
    for wrong in ((receive, object()), (None, receive), (receive, None)):
        with pytest.raises((TypeError, AttributeError)):
            forwarder.set_keys(talker.transport, *wrong)
    del receive, wrong
    gc.collect()
    assert len(passed(forwarder, NOW, (talker.talk(), talker.address))) == 1


def test_numbers_that_cannot_be_are_refused() -> None:
    """A payload type has 7 bits; a negative echo group is what pushed packets have."""
    forwarder = Forwarder()
    transport = forwarder.add_transport()
    for wrong in ({"payload_type": 128}, {"echo_group": -1}):
        with pytest.raises(ValueError):
            _add_egress(forwarder, transport, **wrong)
        with pytest.raises(ValueError):
            settings: dict[str, Any] = {"csrc": 1, "echo_group": 1, "payload_type": PAYLOAD_TYPE}
            forwarder.add_source(transport, **(settings | wrong))
    assert forwarder.sizes()["egresses"] == forwarder.sizes()["sources"] == 0


def test_a_leave_costs_the_same_however_many_others_there_are() -> None:
    """Removing a transport looks at its own addresses only."""

    def cost_s(others: int) -> float:
        forwarder = Forwarder()
        for number in range(others):
            forwarder.allow(forwarder.add_transport(), address_of(number + 1))
        leaving = [forwarder.add_transport() for _ in range(200)]
        for number, transport in enumerate(leaving):
            forwarder.allow(transport, address_of(50_000 + number))
        before = time.process_time()
        for transport in leaving:
            forwarder.remove_transport(transport)
        return time.process_time() - before

    # A scan of the table would make it a hundred times dearer.
    assert cost_s(20_000) < 20 * max(cost_s(200), 1e-4)
