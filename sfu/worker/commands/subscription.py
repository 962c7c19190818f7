"""Commands about what one listener is sent."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from control.commands import SubscriptionGet, SubscriptionResult, SubscriptionUpdate
from control.types import SubscriptionState
from sfu.stage import Room
from sfu.transport.heard import EgressFeedback
from sfu.worker.commands.methods import Methods
from sfu.worker.registry import Registry

# Clients report every few seconds, each time on the tracks that carried something since. A track
# that an earlier report was the last to mention says nothing of how the line is now.
SAME_REPORT_S = 2.0


class SubscriptionCommands:
    """What a listener asked for, and how its line is."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def methods(self) -> Methods:
        """By command."""
        return {SubscriptionUpdate: self._update, SubscriptionGet: self._get}

    def _update(self, command: SubscriptionUpdate, now: float) -> SubscriptionResult:
        room = self._registry.room(command.room)
        room.subscriptions.update(command, now)
        self._registry.lines.follow(self._registry.peer(room, command.participant), now)
        self._registry.settle_room(room)
        return SubscriptionResult(subscription=self._state(room, command.participant))

    def _get(self, command: SubscriptionGet, now: float) -> SubscriptionResult:
        room = self._registry.room(command.room)
        return SubscriptionResult(subscription=self._state(room, command.participant))

    def _state(self, room: Room, participant: str) -> SubscriptionState:
        state = room.subscriptions.state(participant)
        peer = self._registry.peer(room, participant)
        estimate_bps = peer.line.estimate_bps
        return msgspec.structs.replace(
            state,
            estimate_kbps=None if estimate_bps is None else round(estimate_bps / 1000),
            loss_ratio=peer.line.loss_ratio,
            rtt_ms=worst_rtt_ms(peer.transport.feedback.values()),
        )


def worst_rtt_ms(feedback: Iterable[EgressFeedback]) -> float | None:
    """The round trip of the track that does worst in the last report, None before one."""
    reported = list(feedback)
    newest_at = max((track.at for track in reported), default=0.0)
    latest = [track for track in reported if newest_at - track.at <= SAME_REPORT_S]
    rtt_s = max((track.rtt_s for track in latest if track.rtt_s is not None), default=None)
    return None if rtt_s is None else rtt_s * 1000.0
