"""A room on the recording forwarder, driven in 20 ms steps by scripted voices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from control.commands import ParticipantJoin, SubscriptionUpdate
from control.events import EventBody, SpeakersChanged
from control.types import LeaveReason, Role
from sfu.stage import Participant, Room, RoomSettings
from tests.stage.fakes import FakeForwarder, FakeMixes

STEP_S = 0.02
# Unix seconds at `now == 0.0`.
WALL_AT_ZERO = 1_700_000_000.0

B = TypeVar("B", bound=EventBody)


def joining(
    participant: str,
    role: str = "listener",
    *,
    on_duplicate: str = "replace",
    muted: bool = False,
    echo_group: str | None = None,
    room: str = "room",
) -> ParticipantJoin:
    """A join command; the offer is the worker's business."""
    return ParticipantJoin(
        room=room,
        participant=participant,
        role=Role(role),
        offer="v=0",
        muted=muted,
        echo_group=echo_group,
        on_duplicate="reject" if on_duplicate == "reject" else "replace",
    )


class Stage:
    """A room, its forwarder, a clock, and what each participant's microphone says next."""

    def __init__(self, settings: RoomSettings | None = None, *, has_mix: bool = False) -> None:
        self.now = 0.0
        self.forwarder = FakeForwarder()
        self.mixes = FakeMixes(self.forwarder)
        self.tiers: Counter[str] = Counter()  # of listeners, as the room counts them
        self.room = Room(
            "room",
            settings or RoomSettings(),
            self.forwarder.as_forwarder(),
            now=self.now,
            wall_at_zero=WALL_AT_ZERO,
            mixes=self.mixes if has_mix else None,
            tiers=self.tiers,
        )
        self.voices: dict[str, Iterator[int]] = {}
        self.told: list[tuple[float, EventBody]] = []
        self.forwarded: list[tuple[float, str]] = []
        self.unheard: list[tuple[float, str]] = []
        self.drain()

    def drain(self) -> list[EventBody]:
        """Take the room's events; all of them stay in `told` with their time."""
        bodies = [event.body for event in self.room.events()]
        self.told.extend((self.now, body) for body in bodies)
        return bodies

    def join(
        self,
        participant: str,
        role: str = "listener",
        *,
        voice: Iterable[int] | None = None,
        lines: int = 3,
        red_lines: int = 0,
        has_microphone: bool = True,
        muted: bool = False,
        echo_group: str | None = None,
        on_duplicate: str = "replace",
    ) -> Participant:
        """What a worker does for `participant.join`; the first `red_lines` of `lines` take RED."""
        admission = self.room.admit(
            joining(
                participant,
                role,
                muted=muted,
                echo_group=echo_group,
                on_duplicate=on_duplicate,
            ),
            self.now,
        )
        if admission.replaces:
            self.leave(participant, LeaveReason.REPLACED)
        source = self.forwarder.new_source() if has_microphone else -1
        egresses = self.forwarder.new_egresses(lines)
        red_egresses = egresses[:red_lines]
        self.forwarder.red_egresses.update(red_egresses)
        if voice is not None:
            self.voices[participant] = iter(voice)
        return self.room.add(
            admission, source=source, egresses=egresses, red_egresses=red_egresses, now=self.now
        )

    def leave(
        self,
        participant: str,
        reason: LeaveReason = LeaveReason.CLIENT_LEFT,
        *,
        ban_s: float = 0.0,
    ) -> None:
        """What a worker does when somebody goes."""
        gone = self.room.remove(participant, reason, self.now, ban_s=ban_s)
        self.forwarder.remove_transport(gone.source, gone.egresses)
        self.voices.pop(participant, None)

    def ask(self, participant: str, **wishes: Any) -> None:
        """`subscription.update`."""
        command = SubscriptionUpdate(room="room", participant=participant, **wishes)
        self.room.subscriptions.update(command, self.now)

    def protect(self, participant: str, copies: int) -> None:
        """Its line loses so much that the ladder adds earlier packets, or no longer."""
        tier, cause = ("A0", "loss") if copies else ("A1", "recovered")
        assert self.follow(participant, tier, cause, copies)

    def follow(self, participant: str, tier: str, cause: str = "estimate", copies: int = 0) -> bool:
        """The ladder decides."""
        return self.room.subscriptions.follow(participant, tier, copies, cause, self.now)

    def run(self, seconds: float) -> None:
        """Let everybody speak, tick when due."""
        for _ in range(round(seconds / STEP_S)):
            self.step()

    def step(self) -> None:
        self.now = round(self.now + STEP_S, 6)
        for name, voice in list(self.voices.items()):
            self.say(name, next(voice, 127))
        self.tick()

    def say(self, name: str, level: int, frame_ms: int = 20) -> None:
        """One packet of `name`, at its present time."""
        participant = self.room.participants[name]
        challenge = self.forwarder.speak(participant.source, level, self.now, frame_ms)
        is_forwarded = challenge is None or self.room.challenge(challenge, self.now)
        if not self.forwarder.sources[participant.source].audible:
            return
        (self.forwarded if is_forwarded else self.unheard).append((self.now, name))

    def tick(self) -> None:
        deadline = self.room.next_deadline()
        if deadline is not None and self.now >= deadline:
            for gone in self.room.tick(self.now):
                self.forwarder.remove_transport(gone.source, gone.egresses)
                self.voices.pop(gone.id, None)
            following = self.room.next_deadline()
            assert following is None or following > self.now, "a deadline in the past spins"
        self.drain()

    def all_told(self, kind: type[B]) -> list[B]:
        """Every event of a kind so far."""
        return [body for _, body in self.told if isinstance(body, kind)]

    def active(self) -> list[str]:
        """The participants of the last speaker snapshot."""
        snapshots = self.all_told(SpeakersChanged)
        return [speaker.participant for speaker in snapshots[-1].speakers] if snapshots else []

    def carried(self, name: str) -> list[int | None]:
        """The slot index on each m-line of `name`, None for nothing."""
        return [None if form is None else form[0] for form in self.forms(name)]

    def lines(self, name: str) -> list[str]:
        """What each m-line of `name` carries, in words: `0`, `0+1` (RED), `0x3` (packed), `B2`,
        `B2-own`, `hush`, `-`.
        """
        words = {-1: "-", self.room._floor.hush.stream: "hush"} | {-1: "-"}
        for index, slot in enumerate(self.room.slot_ids):
            words |= self._forms(slot, str(index))
        for (tier, own), slot in self.mixes.slots.items():
            words |= self._forms(slot, tier if own is None else f"{tier}-{self._owner(own)}")
        egresses = self.room.participants[name].egresses
        return [words[self.forwarder.subscriptions[egress]] for egress in egresses]

    def _forms(self, slot: int, word: str) -> dict[int, str]:
        return {
            self.forwarder.slot_stream(slot, copies, packed=packed): word + pack + more
            for packed, pack in ((False, ""), (True, "x3"))
            for copies, more in enumerate(("", "+1", "+2"))
        }

    def _owner(self, echo_group: int) -> str:
        everybody = self.room.participants.values()
        return "+".join(one.id for one in everybody if one.echo_group == echo_group) or "gone"

    def is_hushed(self, name: str) -> bool:
        """Whether an m-line of `name` carries the silence that comes before nothing."""
        egresses = self.room.participants[name].egresses
        hush = self.room._floor.hush.stream
        return any(self.forwarder.subscriptions[egress] == hush != -1 for egress in egresses)

    def forms(self, name: str) -> list[tuple[int, int] | None]:
        """The same with the earlier packets that go along with each."""
        streams = {
            self.forwarder.slot_stream(slot, copies): (index, copies)
            for index, slot in enumerate(self.room.slot_ids)
            for copies in range(3)
        }
        return [
            streams.get(self.forwarder.subscriptions[egress])
            for egress in self.room.participants[name].egresses
        ]
