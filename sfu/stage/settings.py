"""What a backend may set about a room, as one immutable value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from control.errors import invalid
from control.types import METADATA_BYTES_MAX, HandPolicy, Metadata, OrphanPolicy, RoomState

if TYPE_CHECKING:
    from control.commands import RoomSettingsCommand

# Largest room one worker is meant to carry; a deployment may set a lower one.
PARTICIPANTS_MAX = 10_000

_CHANGEABLE = (
    "max_participants",
    "max_speakers",
    "slots",
    "hand_policy",
    "empty_timeout_s",
    "orphan_policy",
    "orphan_timeout_s",
    "metadata",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """The settings of a room; `max_speakers` counts speakers and moderators together."""

    max_participants: int = PARTICIPANTS_MAX
    max_speakers: int = 20
    slots: int = 3
    locked: bool = False
    hand_policy: HandPolicy = "open"
    empty_timeout_s: int = 300
    orphan_policy: OrphanPolicy = "keep"
    orphan_timeout_s: int = 60
    metadata: Metadata = field(default_factory=dict)

    def state(self, room: str, version: int, **present: Any) -> RoomState:
        """The wire form of a room with these settings; `present` is what no setting says."""
        return RoomState(
            room=room,
            version=version,
            max_participants=self.max_participants,
            max_speakers=self.max_speakers,
            slots=self.slots,
            locked=self.locked,
            hand_policy=self.hand_policy,
            empty_timeout_s=self.empty_timeout_s,
            orphan_policy=self.orphan_policy,
            orphan_timeout_s=self.orphan_timeout_s,
            metadata=self.metadata,
            **present,
        )

    def changed_by(
        self, command: RoomSettingsCommand, *, max_participants_limit: int = PARTICIPANTS_MAX
    ) -> RoomSettings:
        """These settings with the command's present fields applied.

        Raises ControlError `invalid_argument` for metadata over METADATA_BYTES_MAX and for more
        participants than this server allows in one room.
        """
        changes: dict[str, Any] = {
            name: value for name in _CHANGEABLE if (value := getattr(command, name)) is not None
        }
        if changes.get("max_participants", 0) > max_participants_limit:
            raise invalid("max_participants", f"at most {max_participants_limit} on this server")
        if "metadata" in changes:
            check_metadata(changes["metadata"])
        return replace(self, **changes)


def check_metadata(metadata: Metadata) -> None:
    """Raises ControlError `invalid_argument` when `metadata` encodes to too many bytes."""
    size_bytes = len(msgspec.msgpack.encode(metadata))
    if size_bytes > METADATA_BYTES_MAX:
        raise invalid("metadata", f"{size_bytes} bytes encoded, at most {METADATA_BYTES_MAX}")
