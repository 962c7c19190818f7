"""Everybody is sent what it should be; here tables are broken on purpose, behind its back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from control.commands import ParticipantMove, ParticipantRemove, RoomCreate, SubscriptionUpdate
from sfu.fast import Forwarder
from sfu.stage import Seat
from sfu.worker.invariant import EGRESSES_PER_LOOK, EVERY_S, STRIKES, Breach, Invariant
from sfu.worker.mix_port import MixPort
from tests.worker.harness import Bench, offer
from tests.worker.mixing import KeptPort

HEALED_WITHIN_S = 4.0


class Watched(Bench):
    """A worker whose breaches are kept."""

    def __init__(self, mixing: MixPort | None = None) -> None:
        self.breaches: list[Breach] = []
        super().__init__(on_breach=self.breaches.append, mixing=mixing)

    @property
    def forwarder(self) -> Forwarder:
        return self.worker.forwarder

    def seats(self, participant: str, room: str = "r") -> list[Seat]:
        return self.worker._registry.rooms[room].subscriptions.seats(participant)

    def carried(self, participant: str) -> list[int]:
        return [self.forwarder.egress_stream(seat.egress) for seat in self.seats(participant)]

    def is_right(self, participant: str) -> bool:
        return self.carried(participant) == [seat.stream for seat in self.seats(participant)]

    @property
    def counted(self) -> int:
        return self.worker.counters()["invariant_breaches"]


def room_of(*participants: str) -> Watched:
    bench = Watched()
    bench.room()
    for participant in participants:
        bench.join(participant)
    return bench


def _nothing(bench: Watched, seat: Seat) -> None:
    bench.forwarder.subscribe(seat.egress, -1)


def _another(bench: Watched, seat: Seat) -> None:
    bench.forwarder.subscribe(seat.egress, bench.seats("b")[2].stream)


@pytest.mark.parametrize("damage", [_nothing, _another])
def test_what_an_egress_should_carry_is_counted_told_once_and_mended(
    damage: Callable[[Watched, Seat], None],
) -> None:
    bench = room_of("a", "b")
    bench.wait(5.0)
    seat = bench.seats("a")[1]
    damage(bench, seat)
    carried = bench.forwarder.egress_stream(seat.egress)
    bench.wait(HEALED_WITHIN_S)
    assert bench.is_right("a")
    bench.wait(10.0)
    assert bench.counted == 1
    (breach,) = bench.breaches
    assert breach._replace(sent_age_s=0.0, holder_packet_age_s=0.0) == Breach(
        fault="seat",
        room="r",
        participant="a",
        egress=seat.egress,
        line=1,
        slot=1,
        holder=None,
        expected_stream=seat.stream,
        carried_stream=carried,
        packets=0,
        sent_age_s=0.0,
        holder_packet_age_s=0.0,
    )


def test_what_rights_itself_within_two_looks_is_no_breach() -> None:
    bench = room_of("a")
    seat = bench.seats("a")[0]
    for _ in range(5):
        bench.forwarder.subscribe(seat.egress, -1)
        bench.wait((STRIKES - 1) * EVERY_S - 0.1)
        bench.forwarder.subscribe(seat.egress, seat.stream)
        bench.wait(EVERY_S + 0.1)
    assert bench.counted == 0


def test_whoever_breaks_again_is_told_again() -> None:
    bench = room_of("a")
    for count in (1, 2):
        bench.forwarder.subscribe(bench.seats("a")[0].egress, -1)
        bench.wait(HEALED_WITHIN_S + 2.0)
        assert bench.counted == len(bench.breaches) == count


def test_every_listener_has_its_turn() -> None:
    """More egresses than one look takes: each is looked at in a few seconds, whoever comes or goes
    meanwhile.
    """
    count = EGRESSES_PER_LOOK // 3 * 2
    bench = Watched()
    bench.room(max_participants=count + 10)
    for number in range(count):
        if number % 400 == 0:
            bench.wait(1.0)
        bench.join(f"guest-{number}")
    last = f"guest-{count - 1}"
    bench.forwarder.subscribe(bench.seats(last)[0].egress, -1)
    bench.run(ParticipantRemove(room="r", participant="guest-1"))
    bench.wait(2 * HEALED_WITHIN_S)
    assert bench.is_right(last)
    assert bench.counted == 1


def test_who_leaves_or_moves_takes_its_faults_along() -> None:
    bench = room_of("a", "b")
    bench.run(RoomCreate(room="other"))
    for name in ("a", "b"):
        bench.forwarder.subscribe(bench.seats(name)[0].egress, -1)
    bench.wait(1.5)
    bench.run(ParticipantRemove(room="r", participant="a"))
    bench.run(ParticipantMove(room="r", participant="b", to_room="other"))
    bench.join("c")
    bench.wait(HEALED_WITHIN_S)
    assert bench.counted == 0


def test_choices_are_what_is_expected() -> None:
    bench = room_of("a", "b")
    for wishes in ({"paused": True}, {"paused": False, "slots": 1}, {"slots": 3, "never": ["b"]}):
        bench.run(SubscriptionUpdate(room="r", participant="a", **wishes))
        bench.wait(HEALED_WITHIN_S)
        assert bench.is_right("a")
    assert bench.counted == 0


@pytest.mark.parametrize("tier", ["A0", "A1", "A2", "B1", "B3", "C"])
def test_every_tier_is_what_is_expected_also_while_it_changes_and_mended_if_not(tier: str) -> None:
    bench = Watched(KeptPort())
    bench.room()
    bench.join("a", offer=offer(lines=4, red_payload_type=63))
    room = bench.worker._registry.rooms["r"]
    for look in range(20):
        copies = int(tier == "A0")
        now = (tier, copies) if look % 2 else ("A1", 0)
        assert room.subscriptions.follow("a", *now, "delay", bench.now)
        bench.worker._registry.settle_room(room)
        bench.wait(0.4)
        assert bench.is_right("a")
    bench.wait(HEALED_WITHIN_S)
    assert bench.counted == 0
    assert room.participant_state("a").tier == tier
    line = bench.seats("a")[3 if tier.startswith("B") else 0]
    wrong = room.subscriptions._floor.stream(1, 0, False) if tier == "C" else -1
    bench.forwarder.subscribe(line.egress, wrong)
    bench.wait(HEALED_WITHIN_S)
    assert bench.is_right("a") and bench.counted == 1


def test_nobody_is_looked_at_where_nobody_is() -> None:
    bench = Watched()
    assert bench.worker.next_deadline() is None


def test_a_track_of_nobody_is_counted_and_silenced_and_the_others_are_looked_at() -> None:
    bench = room_of("a", "b")
    forwarder = bench.forwarder
    row = bench.worker._registry.peers.of("r", "a").row  # type: ignore[union-attr]
    stray = forwarder.add_egress(
        row, ssrc=1, payload_type=111, first_sequence=1, first_timestamp=0, echo_group=9
    )
    forwarder.subscribe(stray, bench.seats("a")[0].stream)
    seat = bench.seats("b")[2]

    class Stub:
        """The forwarder as it is, but for two egresses that get nothing."""

        egress_stream = staticmethod(forwarder.egress_stream)
        egress_stats = staticmethod(forwarder.egress_stats)
        level = staticmethod(forwarder.level)
        subscribe = staticmethod(forwarder.subscribe)

        @staticmethod
        def behind(now: float) -> list[int]:
            both = (stray, seat.egress)
            return [egress for egress in both if forwarder.egress_stream(egress) >= 0]

    registry = bench.worker._registry
    told: list[Breach] = []
    invariant = Invariant(
        Stub(),  # type: ignore[arg-type]
        registry.peers,
        counters=registry.counters,
        tell=told.append,
    )
    for second in range(STRIKES):
        invariant.look(100.0 + second)
    assert forwarder.egress_stream(stray) == -1
    assert bench.worker.counters()["egresses_stray"] == 1
    assert [breach.participant for breach in told] == ["b"]


def test_whoever_is_behind_for_good_is_told_once_and_mended_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = room_of("a", "b")
    forwarder = bench.forwarder
    seat = bench.seats("b")[2]
    anew: list[str] = []

    class Stub:
        """The forwarder as it is, but for one egress that gets nothing."""

        egress_stream = staticmethod(forwarder.egress_stream)
        egress_stats = staticmethod(forwarder.egress_stats)
        level = staticmethod(forwarder.level)

        @staticmethod
        def behind(now: float) -> list[int]:
            return [seat.egress]

    registry = bench.worker._registry
    told: list[Breach] = []
    invariant = Invariant(
        Stub(),  # type: ignore[arg-type]
        registry.peers,
        counters=registry.counters,
        tell=told.append,
    )
    subscriptions = registry.rooms["r"].subscriptions
    monkeypatch.setattr(subscriptions, "subscribe_anew", anew.append)
    for second in range(9):
        invariant.look(100.0 + second)
    assert [(breach.fault, breach.participant, breach.line) for breach in told] == [
        ("behind", "b", 2)
    ]
    assert anew == ["b", "b", "b"]
    assert bench.counted == 1
