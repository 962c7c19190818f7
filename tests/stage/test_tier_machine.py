"""Any sequence of tiers, wishes, roles and mixes that come and go: who carries what, or never does.

On the recording forwarder, which refuses whatever its contract forbids.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control.commands import RoomCreate
from control.errors import ControlError
from control.types import Role
from sfu.stage import RoomSettings
from sfu.stage.tiers import FORWARDED, MIXED, offered
from tests.stage.harness import Stage

NAMES = ["a", "b", "c", "d"]
names = st.sampled_from(NAMES)
# As long as the mixer may still have somebody's voice.
ECHOES_S = 0.5


class TierMachine(RuleBasedStateMachine):
    """Who is audible is kept here a second time, and for how long it is still in the mixes."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(RoomSettings(slots=3), has_mix=True)
        self.stage.mixes.own_max = 2
        self.heard_at: dict[int, float] = {}  # by echo group

    @initialize(lines=st.integers(1, 5))
    def begin(self, lines: int) -> None:
        """One talks, one listens."""
        self.join("a", "speaker", 4, None)
        self.join("b", "listener", lines, "table")

    @rule(
        name=names,
        role=st.sampled_from(["speaker", "listener"]),
        lines=st.integers(0, 5),
        group=st.sampled_from([None, "table"]),
    )
    def join(self, name: str, role: str, lines: int, group: str | None) -> None:
        self.stage.join(
            name, role, voice=repeat(20), lines=lines, red_lines=lines, echo_group=group
        )

    @rule(name=names)
    def leave(self, name: str) -> None:
        if name in self.stage.room.participants:
            self.stage.leave(name)

    @rule(name=names, tier=st.sampled_from([*FORWARDED, *MIXED, "C"]), copies=st.integers(0, 2))
    def follow(self, name: str, tier: str, copies: int) -> None:
        """As a ladder: only what is offered."""
        if name not in self.stage.room.participants:
            return
        tiers = self.stage.room.subscriptions.offered(name, self.stage.now)
        if tier in tiers:
            before = self.stage.lines(name)
            if not self.stage.follow(name, tier, copies=copies):
                assert self.stage.lines(name) == before

    @rule(
        name=names,
        wishes=st.fixed_dictionaries(
            {},
            optional={
                "never": st.lists(names, max_size=2),
                "slots": st.integers(1, 6),
                "mode": st.sampled_from(["auto", "forward", "mix"]),
                "paused": st.booleans(),
            },
        ),
    )
    def ask(self, name: str, wishes: dict[str, Any]) -> None:
        if name in self.stage.room.participants:
            try:
                self.stage.ask(name, **wishes)
            except ControlError as refused:
                assert refused.detail == {"field": "never"}

    @rule(name=names, muted=st.booleans())
    def mute(self, name: str, muted: bool) -> None:
        if name in self.stage.room.participants:
            self.stage.room.moderation.set_muted(name, muted, self.stage.now)

    @rule(name=names, role=st.sampled_from(list(Role)))
    def set_role(self, name: str, role: Role) -> None:
        if name in self.stage.room.participants:
            self.stage.room.moderation.set_role(name, role, self.stage.now)

    @rule(slots=st.integers(1, 5))
    def resize(self, slots: int) -> None:
        self.stage.room.apply(RoomCreate(room="room", slots=slots), self.stage.now)

    @rule(available=st.booleans(), flowing=st.booleans())
    def change_mixer(self, available: bool, flowing: bool) -> None:
        mixes = self.stage.mixes
        changed, mixes.is_available = available != mixes.is_available, available
        mixes.flowing = flowing
        if flowing:
            mixes.waiting.clear()
        if changed:
            self.stage.room.subscriptions.mixes_changed(self.stage.now)

    @rule(seconds=st.sampled_from([0.02, 0.1, 0.3, 1.2]))
    def pass_time(self, seconds: float) -> None:
        self.stage.run(seconds)
        if seconds > 1.0:
            for name in self.stage.room.participants:
                assert "hush" not in self.stage.lines(name), "silence ends"
                self.check_settled(name)

    def teardown(self) -> None:
        """Whoever leaves leaves nothing behind."""
        for name in list(self.stage.room.participants):
            self.stage.leave(name)
        own = set(self.stage.room.slot_ids) | set(self.stage.mixes.slots.values())
        assert set(self.stage.forwarder.slots) == own

    def check_settled(self, name: str) -> None:
        """Nothing is under way: each m-line carries what its tier says."""
        participant = self.stage.room.participants[name]
        tier = self.stage.room.participant_state(name).tier
        lines, slots = self.stage.lines(name), self.stage.room.settings.slots
        if tier in ("C", "paused"):
            assert set(lines) <= {"-"}
        elif tier in MIXED:
            at = slots if len(lines) > slots else 0
            assert lines[at].startswith(tier)
            assert all(line == "-" for index, line in enumerate(lines) if index != at)
        elif lines:
            packed = "x3" if tier == "A2" else ""
            carried = [line for line in lines if line != "-"]
            assert len(carried) == len(set(carried))
            assert all(line[1:].startswith(packed) for line in carried)
            heard = min(len(lines), slots, participant.wishes.slots_max or slots)
            assert len(carried) == heard or participant.wishes.never

    @invariant()
    def nobody_hears_itself_or_its_neighbours_in_a_mix(self) -> None:
        people = self.stage.room.participants.values()
        for one in people:
            if one.is_audible:
                self.heard_at[one.echo_group] = self.stage.now
        for one in people:
            since = self.stage.now - self.heard_at.get(one.echo_group, -1.0)
            if since >= ECHOES_S:
                continue
            for line in self.stage.lines(one.id):
                if line[0] == "B":
                    assert one.id in line.split("-", 1)[-1], f"{one.id} hears itself in {line}"

    @invariant()
    def nobody_gets_a_mix_who_must_not(self) -> None:
        for name, one in self.stage.room.participants.items():
            lines = self.stage.lines(name)
            if one.wishes.never or one.wishes.mode == "forward" or one.wishes.paused:
                assert not any(line[0] == "B" for line in lines), lines

    @invariant()
    def tables_and_states_agree(self) -> None:
        room = self.stage.room
        slots = room.settings.slots
        for name, one in room.participants.items():
            seats = room.subscriptions.seats(name)
            carried = [self.stage.forwarder.subscriptions[egress] for egress in one.egresses]
            assert [seat.stream for seat in seats] == carried
            state = room.participant_state(name)
            allowed = {
                *offered(one, slots, has_mix=True),
                *offered(one, slots, has_mix=False),
                "paused",
            }
            assert not one.egresses or state.tier in allowed
        tiers = [
            room.participant_state(name).tier
            for name, one in room.participants.items()
            if one.egresses
        ]
        counted = {tier: count for tier, count in self.stage.tiers.items() if count}
        assert counted == {tier: tiers.count(tier) for tier in set(tiers)}


TierMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)
TestTiers = TierMachine.TestCase
