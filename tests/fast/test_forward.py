"""What the forwarder does with packets: drops by name, headers, fan-out, challenges."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sfu.fast import DTLS, RTCP, STUN, Batch, Forwarder
from tests.fast.peer import (
    FRAME_TICKS,
    PAYLOAD_TYPE,
    SHA1_80,
    TALK,
    Listener,
    Peer,
    Talker,
    address_of,
    batch_of,
    drained,
    extension_block,
    passed,
    rtp,
)
from tests.fast.stage import NOW, Stage

# Drop reasons -----------------------------------------------------------------------------------


def _unvalidated(stage: Stage) -> None:
    stage.send(stage.talker.talk(), sender=Peer(99))


def _no_source(stage: Stage) -> None:
    stage.send(stage.listener.say(rtp(1, 1)), sender=stage.listener)


def _payload_type(stage: Stage) -> None:
    stage.send(stage.talker.talk(payload_type=PAYLOAD_TYPE + 1))


def _ssrc(stage: Stage) -> None:
    stage.send(stage.talker.talk())
    stage.send(stage.talker.say(rtp(1, 1, ssrc=0xBAD)))


def _rate(stage: Stage) -> None:
    packets = []
    for _ in range(101):
        packets.append(stage.talker.talk(b"\x80" + bytes(79)))  # 2.5 ms each
        stage.talker.timestamp -= FRAME_TICKS - 120
    stage.send(*packets)


def _early(stage: Stage) -> None:
    stage.send(stage.talker.talk(b"\x18" + bytes(79)))  # 60 ms
    stage.forwarder.assign(stage.slot, stage.other.source, stage.now)
    stage.send(stage.other.talk(), sender=stage.other)


def _inaudible(stage: Stage) -> None:
    stage.send(stage.talker.talk())
    stage.forwarder.set_audible(stage.talker.source, False)
    stage.send(stage.talker.talk())


def _auth(stage: Stage) -> None:
    data = stage.talker.talk()
    stage.send(data[:-1] + bytes([data[-1] ^ 1]))


def _replay(stage: Stage) -> None:
    data = stage.talker.talk()
    stage.send(data, data)


def _no_keys(stage: Stage) -> None:
    keyless = Peer(7)
    transport = stage.forwarder.add_transport()
    stage.forwarder.allow(transport, keyless.address)
    source = stage.forwarder.add_source(transport, csrc=7, echo_group=7, payload_type=PAYLOAD_TYPE)
    stage.forwarder.set_audible(source, True)
    stage.send(keyless.say(rtp(1, 1)), sender=keyless)


def _late(stage: Stage) -> None:
    early = stage.talker.talk()
    stage.send(stage.talker.talk())
    stage.send(early)


def _unselected(stage: Stage) -> None:
    stage.send(stage.other.talk(level=60), sender=stage.other)


def _challenges(stage: Stage) -> None:
    stage.send(*(stage.other.talk() for _ in range(65)), sender=stage.other)


def _oversize(stage: Stage) -> None:
    stage.send(stage.talker.talk(b"\x7b\x02" + bytes(1_280)))


DROPS: dict[str, Callable[[Stage], object]] = {
    "kind": lambda stage: stage.send(b"\x50 neither STUN nor DTLS nor RTP"),
    "unvalidated": _unvalidated,
    "malformed": lambda stage: stage.send(stage.talker.talk()[:11]),
    "no_source": _no_source,
    "payload_type": _payload_type,
    "ssrc": _ssrc,
    "rate": _rate,
    "inaudible": _inaudible,
    "auth": _auth,
    "replay": _replay,
    "no_keys": _no_keys,
    "empty": lambda stage: stage.send(stage.talker.talk(b"", padding=4)),
    "opus": lambda stage: stage.send(stage.talker.talk(b"\x7b\x07" + bytes(50))),
    "late": _late,
    "early": _early,
    "unselected": _unselected,
    "challenges": _challenges,
    "oversize": _oversize,
}


@pytest.mark.parametrize("reason", DROPS)
def test_each_drop_is_counted_under_its_name(stage: Stage, reason: str) -> None:
    """One datagram for each reason, and nothing else counted."""
    DROPS[reason](stage)
    assert stage.dropped() == {reason: 1}


def test_an_empty_datagram_is_of_no_kind(stage: Stage) -> None:
    """Not even one byte to look at."""
    stage.send(b"")
    assert stage.dropped() == {"kind": 1}


def test_nothing_that_was_dropped_goes_out(stage: Stage) -> None:
    """Drops are silent to the listeners."""
    assert not stage.send(b"", b"\x50", stage.talker.talk()[:-3], b"\x80", bytes([0x80]) * 40)
    assert stage.forwarder.counters()["forwarded"] == 0


# Kinds ------------------------------------------------------------------------------------------


def test_stun_comes_through_from_anywhere_and_the_rest_only_from_allowed_addresses(
    stage: Stage,
) -> None:
    """The records tell kind, transport, address and the bytes as they came."""
    stun, dtls, rtcp = b"\x00\x01 stun", b"\x16\xfe\xfd dtls", b"\x80\xc8 rtcp"
    stranger = address_of(500)
    datagrams = [(data, stranger) for data in (stun, dtls, rtcp)]
    datagrams += [(data, stage.talker.address) for data in (stun, dtls, rtcp)]
    passed(stage.forwarder, NOW, *datagrams)
    own = stage.talker.transport
    assert [tuple(record) for record in stage.forwarder.slow()] == [
        (STUN, -1, stranger, stun),
        (STUN, own, stage.talker.address, stun),
        (DTLS, own, stage.talker.address, dtls),
        (RTCP, own, stage.talker.address, rtcp),
    ]
    assert stage.forwarder.slow() == []
    assert stage.dropped() == {"unvalidated": 2}


def test_a_revoked_address_is_a_stranger_again(stage: Stage) -> None:
    """Revoking ends what allowing began."""
    stage.forwarder.revoke(stage.talker.address)
    assert not stage.send(stage.talker.talk())
    assert stage.dropped() == {"unvalidated": 1}
    assert stage.forwarder.sizes()["addresses"] == 2


def test_an_address_belongs_to_who_was_allowed_it_last(stage: Stage) -> None:
    """A client that reconnects from the same address takes it over."""
    stage.forwarder.allow(stage.other.transport, stage.talker.address)
    assert not stage.send(stage.talker.talk())
    assert stage.dropped() == {"auth": 1}
    assert stage.forwarder.sizes()["addresses"] == 3


# Headers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "profile"),
    [
        ({"level_extension": 1, "mid_extension": 4, "mid": b"2"}, 0xBEDE),
        ({"level_extension": 14, "mid_extension": 3, "mid": b"audio-7"}, 0xBEDE),
        ({"level_extension": 1, "mid_extension": 15, "mid": b"2"}, 0x1000),
        ({"level_extension": 200, "mid_extension": 4, "mid": b"sixteen-bytes-16"}, 0x1000),
        ({"mid_extension": 4, "mid": b"sixteen-bytes-16"}, 0xBEDE),
        ({"level_extension": 5}, 0xBEDE),
        ({}, 0),
    ],
)
def test_a_listener_gets_level_and_mid_under_its_own_ids(
    stage: Stage, ids: dict[str, int | bytes], profile: int
) -> None:
    """Level first, MID second, one CSRC, the listener's payload type and SSRC; nothing else."""
    listener = Listener(8, stage.forwarder, payload_type=96, ssrc=0xABCD, **ids)
    stage.forwarder.subscribe(listener.egress, stage.stream)
    extension = extension_block([(9, b"no business of others"), (1, b"\x94")], two_byte=True)
    sent = dict(
        (address, data) for data, address in stage.send(stage.talker.talk(extension=extension))
    )
    heard = listener.hear(sent[listener.address])
    expected: list[tuple[int | bytes, int | bytes]] = []
    if "level_extension" in ids:
        expected.append((ids["level_extension"], b"\x94"))
    if "mid_extension" in ids:
        expected.append((ids["mid_extension"], ids["mid"]))
    assert heard.elements == tuple(expected)
    assert heard.profile == profile
    assert heard.csrcs == (stage.talker.number,)
    assert (heard.payload_type, heard.ssrc, heard.payload) == (96, 0xABCD, TALK)
    assert (heard.marker, heard.sequence, heard.timestamp) == (True, 100, 5_000)


def test_incoming_csrcs_and_padding_do_not_go_out(stage: Stage) -> None:
    """The listener sees the talker's number alone, and the payload alone."""
    [(data, _)] = stage.send(stage.talker.talk(csrcs=(11, 12, 13), padding=9))
    heard = stage.listener.hear(data)
    assert heard.csrcs == (1,)
    assert heard.payload == TALK


def test_the_older_cipher_is_served_too() -> None:
    """AES-CM with an 80-bit HMAC, in both directions."""
    forwarder = Forwarder()
    talker = Talker(1, forwarder)
    listener = Listener(2, forwarder)
    for peer, transport in ((talker, talker.transport), (listener, listener.transport)):
        Peer.__init__(peer, peer.number, SHA1_80)
        forwarder.set_keys(transport, *peer.server_sessions())
    slot = forwarder.add_slot()
    forwarder.assign(slot, talker.source, NOW)
    forwarder.subscribe(listener.egress, forwarder.slot_stream(slot))
    [(data, address)] = passed(forwarder, NOW, (talker.talk(), talker.address))
    assert address == listener.address
    assert listener.hear(data).payload == TALK


# Fan-out ----------------------------------------------------------------------------------------


def test_nobody_hears_its_own_echo_group(stage: Stage) -> None:
    """Not the talker, and not who sits beside it."""
    own = [
        stage.forwarder.add_egress(
            transport,
            ssrc=77,
            payload_type=PAYLOAD_TYPE,
            first_sequence=1,
            first_timestamp=0,
            echo_group=stage.talker.number,
        )
        for transport in (stage.talker.transport, stage.other.transport)
    ]
    for egress in own:
        stage.forwarder.subscribe(egress, stage.stream)
    assert [address for _, address in stage.send(stage.talker.talk())] == [stage.listener.address]


def test_a_listener_continues_without_a_gap_after_its_own_voice(stage: Stage) -> None:
    """Its numbers go on where they were; what it did not get of itself is no loss."""
    both = stage.other
    egress = stage.forwarder.add_egress(
        both.transport,
        ssrc=77,
        payload_type=PAYLOAD_TYPE,
        first_sequence=32_767,
        first_timestamp=0,
        echo_group=both.number,
    )
    stage.forwarder.subscribe(egress, stage.stream)
    numbers, times = [], []
    for talker in (stage.talker, both, stage.talker):
        stage.forwarder.assign(stage.slot, talker.source, stage.now)
        for _ in range(3):
            for data, address in stage.send(talker.talk(), sender=talker):
                if address == both.address:
                    heard = both.hear(data)
                    numbers.append(heard.sequence)
                    times.append(heard.timestamp)
    assert numbers == list(range(32_767, 32_773))
    assert times == [0, 960, 1920, 6 * 960, 7 * 960, 8 * 960]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_an_outbox_that_fills_up_in_the_middle_of_a_fan_out_loses_nothing(
    stage: Stage, size: int
) -> None:
    """Twenty listeners and three packets through an outbox of a few datagrams."""
    listeners = [Listener(100 + number, stage.forwarder) for number in range(20)]
    for listener in listeners:
        stage.forwarder.subscribe(listener.egress, stage.stream)
    talk = [(stage.talker.talk(), stage.talker.address) for _ in range(3)]
    stage.forwarder.receive(batch_of(*talk), NOW)
    sent = drained(stage.forwarder, Batch(size, 2048 * size))
    for listener in [*listeners, stage.listener]:
        heard = [listener.hear(data) for data, address in sent if address == listener.address]
        assert [packet.sequence for packet in heard] == [100, 101, 102]
    assert len(sent) == 63
    assert stage.forwarder.counters()["forwarded"] == 63


def test_an_inbox_may_be_filled_anew_as_soon_as_it_is_drained(stage: Stage) -> None:
    """The caller keeps one inbox, and the next batch may be longer than the last."""
    inbox = Batch()
    for count in (1, 5, 2):
        inbox.clear()
        for _ in range(count):
            assert inbox.append(stage.talker.talk(), stage.talker.address)
        stage.now += 0.1
        stage.forwarder.receive(inbox, stage.now)
        assert len(drained(stage.forwarder)) == count


def test_a_second_input_before_the_first_is_drained_is_a_mistake(stage: Stage) -> None:
    """One input, then drain until it returns False."""
    talk = [(stage.talker.talk(), stage.talker.address) for _ in range(2)]
    stage.forwarder.receive(batch_of(*talk), NOW)
    assert stage.forwarder.drain(Batch(1, 2048))
    with pytest.raises(RuntimeError):
        stage.forwarder.receive(batch_of(*talk), NOW)
    with pytest.raises(RuntimeError):
        stage.forwarder.push(stage.stream, TALK, NOW)
    with pytest.raises(RuntimeError):
        stage.forwarder.remove_transport(stage.listener.transport)
    assert len(drained(stage.forwarder)) == 1


def test_media_follows_the_route(stage: Stage) -> None:
    """After a change of address, the next packet goes there."""
    stage.forwarder.route(stage.listener.transport, address_of(900))
    assert [address for _, address in stage.send(stage.talker.talk())] == [address_of(900)]


# Challenges -------------------------------------------------------------------------------------


def test_a_free_slot_loses_no_first_packet(stage: Stage) -> None:
    """The packet that challenged goes out once the challenger holds the slot."""
    assert not stage.send(stage.other.talk(), sender=stage.other)
    [challenge] = stage.forwarder.challenges()
    assert challenge.source == stage.other.source
    assert stage.forwarder.challenges() == []
    stage.forwarder.assign(stage.slot, -1, stage.now)
    stage.forwarder.assign(stage.slot, stage.other.source, stage.now)
    stage.forwarder.accept(challenge.handle)
    [(data, address)] = drained(stage.forwarder)
    assert address == stage.listener.address
    assert stage.listener.hear(data).csrcs == (stage.other.number,)
    with pytest.raises(KeyError):
        stage.forwarder.accept(challenge.handle)


def test_a_challenge_is_over_with_the_next_batch(stage: Stage) -> None:
    """Its packet is not kept any longer."""
    stage.send(stage.other.talk(), sender=stage.other)
    [challenge] = stage.forwarder.challenges()
    stage.send(stage.talker.talk())
    with pytest.raises(KeyError):
        stage.forwarder.accept(challenge.handle)


def test_a_challenge_dies_with_its_source(stage: Stage) -> None:
    """Whoever gets the id next does not speak with the other's voice."""
    stage.send(stage.other.talk(), sender=stage.other)
    [challenge] = stage.forwarder.challenges()
    stage.forwarder.remove_source(stage.other.source)
    heir = Talker(9, stage.forwarder)
    stage.forwarder.assign(stage.slot, -1, stage.now)
    stage.forwarder.assign(stage.slot, heir.source, stage.now)
    with pytest.raises(KeyError):
        stage.forwarder.accept(challenge.handle)
    assert not drained(stage.forwarder)


def test_a_challenge_of_a_removed_source_is_not_told(stage: Stage) -> None:
    """Python hears of living sources only."""
    stage.send(stage.other.talk(), sender=stage.other)
    stage.forwarder.remove_source(stage.other.source)
    assert stage.forwarder.challenges() == []


def test_the_largest_payload_fits_the_smallest_outbox(stage: Stage) -> None:
    """With the largest header around it; so `drain` always comes to an end."""
    listener = Listener(8, stage.forwarder, level_extension=15, mid_extension=20, mid=b"m" * 16)
    stage.forwarder.subscribe(listener.egress, stage.stream)
    inbox = batch_of((stage.talker.talk(b"\x7b\x02" + bytes(1_278)), stage.talker.address))
    stage.forwarder.receive(inbox, stage.now)
    assert len(drained(stage.forwarder, Batch(1, 2048))) == 2


def test_whoever_gets_an_address_next_hears_nothing_of_who_had_it(stage: Stage) -> None:
    """A NAT gave the listener's address to somebody else, whose check has just come."""
    stage.send(stage.talker.talk())
    newcomer = stage.forwarder.add_transport()
    stage.forwarder.allow(newcomer, stage.listener.address)
    assert stage.send(stage.talker.talk()) == []


def test_a_switch_waits_for_the_end_of_a_long_frame(stage: Stage) -> None:
    """60 ms of one voice are not overlapped by the next voice, nor is the clock left behind."""
    long = b"\x18" + bytes(79)
    first = [stage.listener.hear(data) for data, _ in stage.send(stage.talker.talk(long))]
    stage.forwarder.assign(stage.slot, stage.other.source, stage.now)
    heard = []
    for _ in range(3):
        sent = stage.send(stage.other.talk(), sender=stage.other)
        heard += [stage.listener.hear(data) for data, _ in sent]
    assert heard[0].marker and heard[0].sequence == first[0].sequence + 1
    assert [one.timestamp - first[0].timestamp for one in heard] == [3 * 960, 4 * 960]


def test_bytes_are_limited_as_well_as_packets(stage: Stage) -> None:
    """One microphone with the largest packets: 65,536 bytes at once, then 80,000 a second."""
    large = b"\x80" + bytes(1_275)
    size = len(stage.talker.talk(large))
    stage.send(*(stage.talker.talk(large) for _ in range(90)))
    assert stage.dropped()["rate"] == 90 - 65_536 // size
    stage.now += 0.98
    stage.send(*(stage.talker.talk(large) for _ in range(90)))
    assert stage.dropped()["rate"] == 2 * (90 - 65_536 // size)
