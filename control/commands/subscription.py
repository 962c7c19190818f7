"""Commands about what one listener is sent."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from control.commands.command import Command
from control.types import ParticipantId, RoomId, Slots, SubscriptionState, Value

# Each entry is compared with the holders of the slots, for this listener alone.
CHOSEN_MAX = 64


class SubscriptionResult(Value, frozen=True, kw_only=True):
    subscription: SubscriptionState


class SubscriptionUpdate(Command[SubscriptionResult], frozen=True, kw_only=True):
    """Change what a participant hears; absent fields stay, an empty list ends a choice.

    `always`: heard before others while they hold a slot. `never`: not heard. `slots`: at most so
    many voices at once. `mode`: what the line allows, the voices one by one only, or mixed only.
    `max_kbps`: at most so much, headers included; None ends that. `paused`: nothing.
    """

    method: ClassVar[str] = "subscription.update"
    result: ClassVar[Any] = SubscriptionResult
    room: RoomId
    participant: ParticipantId
    slots: Slots | None = None
    always: Annotated[list[ParticipantId], Meta(max_length=CHOSEN_MAX)] | None = None
    never: Annotated[list[ParticipantId], Meta(max_length=CHOSEN_MAX)] | None = None
    mode: Literal["auto", "forward", "mix"] | None = None
    max_kbps: Annotated[int, Meta(ge=1, le=100_000)] | None | UnsetType = UNSET
    paused: bool | None = None


class SubscriptionGet(Command[SubscriptionResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "subscription.get"
    result: ClassVar[Any] = SubscriptionResult
    mutates: ClassVar[bool] = False
    room: RoomId
    participant: ParticipantId
