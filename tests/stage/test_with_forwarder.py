"""A room on the compiled forwarder, with real SRTP: who is heard by whom, packet by packet."""

from __future__ import annotations

from collections.abc import Mapping

from control.commands import RoomCreate
from control.types import LeaveReason, Role
from sfu.fast import Batch, Forwarder
from sfu.stage import NO_SOURCE, Participant, Room, RoomSettings
from tests.fast.peer import LEVEL_ID, PAYLOAD_TYPE, TALK, Heard, Peer, level_block, rtp
from tests.stage.harness import joining

STEP_S = 0.02


class Person(Peer):
    """A client in the room: one microphone, some m-lines."""

    def __init__(self, stage: RealStage, name: str, role: str, lines: int, group: str | None):
        admission = stage.room.admit(joining(name, role, echo_group=group), stage.now)
        super().__init__(admission.number)
        self.transport = self.join(stage.forwarder)
        source = stage.forwarder.add_source(
            self.transport,
            csrc=admission.number,
            echo_group=admission.echo_group,
            payload_type=PAYLOAD_TYPE,
            level_extension=LEVEL_ID,
        )
        egresses = [
            stage.forwarder.add_egress(
                self.transport,
                ssrc=admission.number * 16 + line,
                payload_type=PAYLOAD_TYPE,
                first_sequence=1 + line,
                first_timestamp=0,
                echo_group=admission.echo_group,
            )
            for line in range(lines)
        ]
        self.participant: Participant = stage.room.add(
            admission, source=source, egresses=egresses, now=stage.now
        )
        assert self.participant.source != NO_SOURCE
        self.sequence = 1000

    def packet(self, level: int) -> tuple[bytes, bytes]:
        self.sequence += 1
        plain = rtp(
            self.sequence,
            960 * self.sequence,
            TALK,
            ssrc=0x5000 + self.number,
            extension=level_block(level),
        )
        return self.say(plain), self.address


class RealStage:
    """The worker's part: datagrams and challenges, 20 ms at a time."""

    def __init__(self, settings: RoomSettings | None = None) -> None:
        self.now = 1.0
        self.forwarder = Forwarder()
        self.room = Room(
            "room", settings or RoomSettings(), self.forwarder, now=self.now, wall_at_zero=0.0
        )
        self.people: dict[str, Person] = {}

    def join(
        self, name: str, role: str = "listener", *, lines: int = 3, group: str | None = None
    ) -> Person:
        person = self.people[name] = Person(self, name, role, lines, group)
        return person

    def leave(self, name: str) -> None:
        self.room.remove(name, LeaveReason.CLIENT_LEFT, self.now)
        self.forwarder.remove_transport(self.people.pop(name).transport)

    def step(self, levels: Mapping[str, int]) -> dict[str, list[str]]:
        """Everybody in `levels` says one packet; whom each listener heard, in order of m-lines."""
        self.now += STEP_S
        inbox = Batch()
        for name, level in levels.items():
            assert inbox.append(*self.people[name].packet(level))
        self.forwarder.receive(inbox, self.now)
        heard = self._drain()
        for challenge in self.forwarder.challenges():
            if self.room.challenge(challenge, self.now):
                self.forwarder.accept(challenge.handle)
                heard += self._drain()
        self.room.tick(self.now)
        return self._by_listener(heard)

    def run(self, levels: Mapping[str, int], seconds: float) -> dict[str, list[str]]:
        """The last step's hearing."""
        heard: dict[str, list[str]] = {}
        for _ in range(round(seconds / STEP_S)):
            heard = self.step(levels)
        return heard

    def _drain(self) -> list[tuple[bytes, bytes]]:
        outbox = Batch()
        assert not self.forwarder.drain(outbox)
        return list(outbox)

    def _by_listener(self, sent: list[tuple[bytes, bytes]]) -> dict[str, list[str]]:
        speakers = {person.number: name for name, person in self.people.items()}
        by_address = {person.address: (name, person) for name, person in self.people.items()}
        packets: dict[str, list[Heard]] = {name: [] for name in self.people}
        for data, address in sent:
            name, person = by_address[address]
            packets[name].append(person.hear(data))
        return {
            name: [speakers[packet.csrcs[0]] for packet in sorted(heard, key=lambda p: p.ssrc)]
            for name, heard in packets.items()
        }


def test_everybody_hears_the_others_from_the_first_packet() -> None:
    stage = RealStage()
    for name in ("a", "b"):
        stage.join(name, "speaker")
    stage.join("listener")
    assert stage.step({"a": 20, "b": 20}) == {"a": ["b"], "b": ["a"], "listener": ["a", "b"]}


def test_listener_who_sends_is_not_heard_until_called_up() -> None:
    stage = RealStage()
    stage.join("a")
    stage.join("b")
    assert stage.run({"a": 20}, 0.5)["b"] == []
    stage.room.moderation.set_role("a", Role.SPEAKER, stage.now)
    assert stage.step({"a": 20})["b"] == ["a"]
    stage.room.moderation.set_muted("a", True, stage.now)
    assert stage.run({"a": 20}, 0.5)["b"] == []
    stage.room.moderation.set_muted("a", False, stage.now)
    assert stage.step({"a": 20})["b"] == ["a"]
    stage.room.moderation.set_role("a", Role.LISTENER, stage.now)
    assert stage.run({"a": 20}, 0.5)["b"] == []


def test_moderator_preempts_the_weakest_within_60_ms() -> None:
    stage = RealStage()
    loudness = {"a": 20, "b": 30, "c": 20}
    for name in loudness:
        stage.join(name, "speaker", lines=0)
    stage.join("chair", "moderator", lines=0)
    stage.join("listener")
    assert stage.run(loudness, 0.6)["listener"] == ["a", "b", "c"]
    voices = loudness | {"chair": 25}
    assert stage.step(voices)["listener"] == ["a", "b", "c"]
    assert "chair" in stage.run(voices, 0.04)["listener"]
    assert stage.step(voices)["listener"] == ["a", "chair", "c"]


def test_fourth_equal_talker_gets_in_by_waiting() -> None:
    stage = RealStage()
    for name in ("a", "b", "c", "d"):
        stage.join(name, "speaker", lines=0)
    stage.join("listener")
    voices = {"a": 20, "b": 20, "c": 20, "d": 20}
    assert "d" not in stage.run(voices, 1.0)["listener"]
    assert "d" in stage.run(voices, 0.7)["listener"]


def test_echo_group_is_not_heard_by_itself() -> None:
    stage = RealStage()
    for name in ("left", "right"):
        stage.join(name, "speaker", group="table")
    stage.join("far", "speaker")
    heard = stage.run({"left": 20, "right": 20, "far": 20}, 0.1)
    assert heard == {"left": ["far"], "right": ["far"], "far": ["left", "right"]}


def test_two_lines_follow_the_talkers() -> None:
    stage = RealStage()
    for name in ("a", "b", "c"):
        stage.join(name, "speaker", lines=2)
    stage.join("listener", lines=2)
    assert stage.run({"a": 20, "b": 20}, 0.5)["listener"] == ["a", "b"]
    heard = stage.run({"a": 20, "b": 70, "c": 20}, 0.5)
    assert heard["listener"] == ["a", "c"]
    assert "c" in heard["a"]


def test_slots_shrink_and_grow_under_way() -> None:
    stage = RealStage()
    for name in ("a", "b", "c"):
        stage.join(name, "speaker", lines=0)
    stage.join("listener")
    voices = {"a": 20, "b": 20, "c": 20}
    assert stage.run(voices, 0.2)["listener"] == ["a", "b", "c"]
    stage.room.apply(RoomCreate(room="room", slots=1), stage.now)
    assert stage.step(voices)["listener"] == ["a"]
    stage.room.apply(RoomCreate(room="room", slots=3), stage.now)
    assert stage.step(voices)["listener"] == ["a", "b", "c"]


def test_nothing_is_left_of_a_closed_room() -> None:
    stage = RealStage()
    for name in ("a", "b", "c"):
        stage.join(name, "speaker", lines=2)
    stage.run({"a": 20, "b": 20}, 0.5)
    stage.leave("a")
    stage.run({"b": 20}, 0.1)
    for gone in stage.room.close("over", stage.now):
        stage.forwarder.remove_transport(stage.people.pop(gone.id).transport)
    sizes = stage.forwarder.sizes()
    assert set(sizes.values()) == {0}, sizes
