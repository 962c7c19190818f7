"""Who should have been sent something and was not."""

from __future__ import annotations

from pylibsrtp import Policy, Session

from tests.fast.peer import TALK, Listener, drained, srtp_session
from tests.fast.stage import Stage


def deafen(stage: Stage, listener: Listener) -> None:
    """Give a listener a session that refuses to encrypt its SSRC, as a bug would."""
    policy = Policy(key=bytes(44), ssrc_type=Policy.SSRC_SPECIFIC, ssrc_value=1)
    receive = srtp_session(listener.number, "up", protects=False)
    stage.forwarder.set_keys(listener.transport, receive, Session(policy))


def talk(stage: Stage, seconds: float, talker: int = 0) -> None:
    """Speech without a pause."""
    who = (stage.talker, stage.other)[talker]
    for _ in range(round(seconds / 0.02)):
        stage.send(who.talk(), sender=who)


def test_whoever_hears_everything_is_not_behind(stage: Stage) -> None:
    talk(stage, 3.0)
    assert stage.forwarder.behind(stage.now) == []


def test_whoever_misses_a_second_of_a_stream_is_behind(stage: Stage) -> None:
    talk(stage, 0.2)
    deafen(stage, stage.listener)
    talk(stage, 0.98)
    assert stage.forwarder.behind(stage.now) == []
    talk(stage, 0.06)
    assert stage.forwarder.behind(stage.now) == [stage.listener.egress]
    assert stage.forwarder.behind(stage.now + 0.9) == [stage.listener.egress]


def test_a_stream_that_pauses_leaves_nobody_behind(stage: Stage) -> None:
    deafen(stage, stage.listener)
    talk(stage, 1.5)
    assert stage.forwarder.behind(stage.now + 1.01) == []
    stage.now += 5.0
    talk(stage, 0.5)
    assert stage.forwarder.behind(stage.now) == []


def test_one_packet_now_and_then_is_no_flow(stage: Stage) -> None:
    deafen(stage, stage.listener)
    for _ in range(5):
        talk(stage, 0.02)
        stage.now += 1.5
    assert stage.forwarder.behind(stage.now - 1.5) == []


def test_whoever_joins_a_stream_that_flows_has_a_second(stage: Stage) -> None:
    """Neither at once, nor after a long time with a stream where nobody spoke."""
    talk(stage, 3.0)
    late = Listener(9, stage.forwarder)
    stage.forwarder.subscribe(late.egress, stage.stream)
    assert stage.forwarder.behind(stage.now) == []
    deafen(stage, late)
    talk(stage, 0.9)
    assert stage.forwarder.behind(stage.now) == []
    talk(stage, 0.2)
    assert stage.forwarder.behind(stage.now) == [late.egress]


def test_without_keys_or_route_nobody_is_behind(stage: Stage) -> None:
    transport = stage.forwarder.add_transport()
    egress = stage.forwarder.add_egress(
        transport,
        ssrc=1,
        payload_type=111,
        first_sequence=1,
        first_timestamp=0,
        echo_group=77,
    )
    stage.forwarder.subscribe(egress, stage.stream)
    stage.forwarder.revoke(stage.listener.address)
    talk(stage, 2.0)
    assert stage.forwarder.behind(stage.now) == []
    stage.forwarder.route(stage.listener.transport, stage.listener.address)
    assert stage.forwarder.behind(stage.now) == [], "the route is new"


def test_an_own_voice_leaves_nobody_behind(stage: Stage) -> None:
    own = stage.forwarder.add_egress(
        stage.talker.transport,
        ssrc=1,
        payload_type=111,
        first_sequence=1,
        first_timestamp=0,
        echo_group=stage.talker.number,
    )
    stage.forwarder.subscribe(own, stage.stream)
    talk(stage, 2.0)
    assert stage.forwarder.behind(stage.now) == []
    stage.forwarder.assign(stage.slot, stage.other.source, stage.now)
    talk(stage, 0.02, talker=1)
    assert stage.forwarder.behind(stage.now) == []


def test_what_is_held_for_its_tick_leaves_nobody_behind(stage: Stage) -> None:
    forwarder = stage.forwarder
    audience = forwarder.add_audience()
    slots = [forwarder.add_slot(audience) for _ in range(2)]
    forwarder.assign(stage.slot, -1, stage.now)
    forwarder.assign(slots[0], stage.talker.source, stage.now)
    forwarder.assign(slots[1], stage.other.source, stage.now)
    forwarder.set_segmented(audience, True)
    ear = Listener(9, forwarder)
    forwarder.subscribe(ear.egress, forwarder.slot_stream(slots[0]))
    stage.send(stage.talker.talk())
    stage.now += 5.0
    stage.send(stage.other.talk(), sender=stage.other)
    forwarder.flush(stage.now + 0.02)
    drained(forwarder)
    stage.now += 0.01
    assert stage.send(stage.talker.talk(TALK)) == []
    assert forwarder.behind(stage.now) == []
