"""Who may be heard in a room: their slots, what others see of them, and the mixes they are in.

The one place that gives somebody a voice or takes it, so that slots, mixes and snapshots never
disagree about who has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .watch import Watch

if TYPE_CHECKING:
    from control.events import EventBody
    from control.types import ActiveSpeaker
    from sfu.fast import Challenge

    from .floor import Floor
    from .participant import Participant
    from .subscriptions import Subscriptions


class Voices:
    """Of one room."""

    __slots__ = ("_floor", "_subscriptions", "_tell", "_watch")

    def __init__(
        self, floor: Floor, subscriptions: Subscriptions, tell: Callable[[EventBody], None]
    ) -> None:
        self._floor = floor
        self._subscriptions = subscriptions
        self._tell = tell
        self._watch = Watch()

    @property
    def snapshot(self) -> list[ActiveSpeaker]:
        """The last `speakers.changed`."""
        return self._watch.snapshot

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, None while nobody speaks."""
        return self._watch.deadline

    def follow(self, participant: Participant, now: float) -> None:
        """What its role and mute say is so from now on. Idempotent."""
        if not participant.is_audible:
            self.take(participant, now)
            return
        if not self._floor.has_voice(participant):
            self._subscriptions.enter_mixes(participant, now)
        self._floor.admit(participant)
        self._watch.start(now)

    def take(self, participant: Participant, now: float) -> None:
        """`participant` is not heard any more. Idempotent."""
        if self._floor.has_voice(participant):
            self._subscriptions.leave_mixes(participant, now)
        if self._floor.dismiss(participant, now) is not None:
            self._subscriptions.reseat(now)
        if not self._floor.is_anybody_audible:
            self._watch.stop()
        snapshot = self._watch.forget(participant.id)
        if snapshot is not None:
            self._tell(snapshot)

    def challenge(self, challenge: Challenge, now: float) -> bool:
        """A voiced packet without a slot: True when its source now holds one."""
        holds, is_new = self._floor.challenge(challenge.source, challenge.level, now)
        if is_new:
            self._watch.wake(now)
            self._subscriptions.reseat(now)
        return holds

    def tick(self, now: float) -> None:
        """Look around, if it is time."""
        if not self._watch.is_due(now):
            return
        self._floor.prune(now)
        self._subscriptions.reseat(now)
        observations = self._floor.observe(now)
        self._floor.notice_lost(observations, now)
        snapshot = self._watch.look(observations, now)
        if snapshot is not None:
            self._tell(snapshot)
        if self._watch.may_rest(observations):
            self._watch.stop()
            self._floor.rest(now)

    def forget(self, participant: Participant) -> None:
        """The room ends: nobody is told any more whether `participant` speaks."""
        self._watch.forget(participant.id)

    def stop(self) -> None:
        """Nobody speaks here any more."""
        self._watch.stop()
