"""Any sequence of wishes, roles and voices, on the compiled forwarder: who is never sent what."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from control.commands import RoomCreate
from control.errors import ControlError
from control.types import Role
from sfu.stage import SILENCE, RoomSettings
from tests.fast.oracle_red import parse_red
from tests.fast.peer import PAYLOAD_TYPE, Heard
from tests.stage.real import NOBODY, RED_PAYLOAD_TYPE, RealStage

NAMES = ["a", "b", "c", "d", "e"]
# Hears everything, so that it tells what was said.
WITNESS = "witness"
LINES_MAX = 6
BEHIND_S = 0.15
names = st.sampled_from(NAMES)
lists = st.lists(names, max_size=3)


class SubscriptionMachine(RuleBasedStateMachine):
    """The wishes are kept here a second time; every packet that leaves is held against them."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = RealStage(RoomSettings(slots=3))
        self.wishes: dict[str, dict[str, Any]] = {}
        self.groups: dict[int, str] = {}
        self.lines: dict[str, int] = {}
        self.sequences: dict[int, int] = {}
        self.copies: dict[str, int] = {}
        self.segmented = False
        self.is_mixed = False
        # When each was last sent silence. A voice whose clock stopped while it was silent is up to
        # 0.1 s behind that and is not played twice.
        self.silent_at: dict[str, float] = {}

    @initialize(never=st.lists(names, min_size=1, max_size=2), lines=st.integers(1, 3))
    def begin(self, never: list[str], lines: int) -> None:
        """Four on stage, and somebody who does not want to hear some of them."""
        self.join(WITNESS, "listener", LINES_MAX, None)
        for name in NAMES[:4]:
            self.join(name, "speaker", 3, None)
        self.join(NAMES[4], "listener", lines, None)
        self.ask(NAMES[4], {"never": never})

    @rule(
        name=names,
        role=st.sampled_from(["speaker", "speaker", "moderator", "listener"]),
        lines=st.integers(0, LINES_MAX),
        group=st.sampled_from([None, None, "table"]),
    )
    def join(self, name: str, role: str, lines: int, group: str | None) -> None:
        if name in self.stage.people:
            self.stage.leave(name)
        person = self.stage.join(name, role, lines=lines, group=group)
        self.groups[person.number] = group or f"alone-{person.number}"
        self.lines[name] = lines
        self.copies[name] = 0
        self.wishes[name] = {}

    @rule(name=names)
    def leave(self, name: str) -> None:
        if name in self.stage.people:
            self.stage.leave(name)

    @rule(name=names, role=st.sampled_from(list(Role)))
    def set_role(self, name: str, role: Role) -> None:
        if name in self.stage.people:
            self.stage.room.moderation.set_role(name, role, self.stage.now)

    @rule(name=names, muted=st.booleans())
    def mute(self, name: str, muted: bool) -> None:
        if name in self.stage.people:
            self.stage.room.moderation.set_muted(name, muted, self.stage.now)

    @rule(
        name=names,
        wishes=st.fixed_dictionaries(
            {},
            optional={
                "never": lists,
                "always": lists,
                "slots": st.integers(1, LINES_MAX),
                "paused": st.booleans(),
                "mode": st.sampled_from(["auto", "forward", "mix"]),
            },
        ),
    )
    def ask(self, name: str, wishes: dict[str, Any]) -> None:
        if name not in self.stage.people:
            return
        try:
            self.stage.ask(name, **wishes)
        except ControlError:
            assert wishes["mode"] == "mix", "this room has none"
        else:
            self.wishes[name] |= wishes

    @rule(name=names, copies=st.integers(0, 2))
    def protect(self, name: str, copies: int) -> None:
        if name in self.stage.people:
            tier = "A0" if copies else "A1"
            self.stage.room.subscriptions.follow(name, tier, copies, "loss", self.stage.now)
            self.copies[name] = copies
            self.is_mixed = self.is_mixed or self.segmented  # what is held has its form

    @rule(slots=st.integers(1, LINES_MAX))
    def resize(self, slots: int) -> None:
        self.stage.room.apply(RoomCreate(room="room", slots=slots), self.stage.now)

    @precondition(lambda self: self.stage.people)
    @rule()
    def segment(self) -> None:
        self.segmented = not self.segmented
        self.is_mixed = True
        self.stage.room.set_segmented(self.segmented)

    @rule(
        voices=st.dictionaries(names, st.sampled_from([10, 20, 30, 45, 60]), max_size=5),
        steps=st.integers(1, 12),
    )
    def talk_together(self, voices: dict[str, int], steps: int) -> None:
        self.talk(voices, steps)

    def talk(self, voices: dict[str, int], steps: int) -> None:
        present = {name: level for name, level in voices.items() if name in self.stage.people}
        for _ in range(steps):
            before = self.stage.room.holders
            heard = self.stage.step(present)
            for name, packets in self.stage.packets.items():
                for packet in packets:
                    self.check_packet(name, packet)
                if not self.segmented and not self.is_mixed:
                    self.check_complete(name, heard, before)
            self.is_mixed = False

    @rule(steps=st.sampled_from([5, 20, 200]))
    def pass_silently(self, steps: int) -> None:
        """Turns end: after 0.3 s slots are for others, after 3 s the room rests."""
        self.talk({}, steps)

    @rule(name=names, level=st.sampled_from([10, 30]))
    def speak(self, name: str, level: int) -> None:
        self.talk({name: level}, 5)

    def check_packet(self, name: str, packet: Heard) -> None:
        """What is true of every packet that leaves, whatever happens."""
        wishes, number = self.wishes[name], self.stage.people[name].number
        speaker = packet.csrcs[0] if packet.csrcs else NOBODY
        if speaker == NOBODY:
            self.silent_at[name] = self.stage.now
        else:
            assert not wishes.get("paused"), f"{name} is paused"
            assert self.stage.names["room", speaker] not in wishes.get("never", ()), (
                f"{name} never wants it"
            )
            assert self.groups[speaker] != self.groups[number], f"{name} hears its own group"
            line = packet.ssrc - number * 16
            assert line < wishes.get("slots", LINES_MAX), f"{name} hears on line {line}"
        before = self.sequences.get(packet.ssrc)
        assert before is None or packet.sequence == (before + 1) % 2**16, "sequence numbers go on"
        self.sequences[packet.ssrc] = packet.sequence
        if packet.payload_type != RED_PAYLOAD_TYPE:
            is_safe = speaker == NOBODY or self.copies[name] == 0 or self.is_mixed
            assert is_safe, f"{name} is not protected"
            return
        blocks = parse_red(packet.payload, PAYLOAD_TYPE)
        assert blocks is not None and (len(blocks) <= 1 + self.copies[name] or self.is_mixed)
        if speaker == NOBODY:
            assert {block.payload for block in blocks} == {SILENCE}, f"{name} hears more"
            return
        said_by = {int.from_bytes(block.payload[-2:], "big") for block in blocks}
        assert said_by == {speaker}, f"{name} hears copies of somebody else"

    def check_complete(
        self, name: str, heard: dict[str, list[str]], before: list[str | None]
    ) -> None:
        """Whoever is not unwanted is heard, as far as m-lines go and wishes put it first."""
        wishes, holders = self.wishes[name], self.stage.room.holders
        slots = self.stage.room.settings.slots
        used = min(self.lines[name], wishes.get("slots", LINES_MAX), slots)
        is_settling = self.stage.now - self.silent_at.get(name, -1.0) < BEHIND_S
        if wishes.get("paused") or holders != before or is_settling:
            return
        wanted = [speaker for speaker in heard[WITNESS] if self.is_welcome(name, speaker)]
        if used < slots:
            first = [
                holder
                for holder in holders
                if holder is not None
                and holder in wishes.get("always", ())
                and self.is_welcome(name, holder)
            ]
            wanted = [speaker for speaker in wanted if speaker in first and len(first) <= used]
            assert set(wanted) <= set(heard[name])
        else:
            assert sorted(wanted) == sorted(heard[name])

    def is_welcome(self, name: str, speaker: str) -> bool:
        people = self.stage.people
        if speaker in self.wishes[name].get("never", ()) or speaker not in people:
            return False
        return self.groups[people[name].number] != self.groups[people[speaker].number]

    @invariant()
    def states_say_what_is_sent(self) -> None:
        slots = self.stage.room.settings.slots
        for name in self.stage.people:
            wishes = self.wishes[name]
            state = self.stage.room.participant_state(name)
            subscription = self.stage.room.subscriptions.state(name)
            assert (subscription.tier, subscription.slots) == (state.tier, state.slots)
            if wishes.get("paused"):
                assert (state.tier, state.slots) == ("paused", 0)
            else:
                used = min(self.lines[name], slots, wishes.get("slots", LINES_MAX))
                assert state.tier != "paused" and state.slots == used


SubscriptionMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)
TestSubscriptions = SubscriptionMachine.TestCase
