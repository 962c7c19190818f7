"""What a worker is told at its start: its name, its limits and its patience. Immutable."""

from __future__ import annotations

from dataclasses import dataclass

from sfu.worker.segmentation import SegmentationMode

# What the forwarder's tables hold: 65,536 transports, as many slots, and up to 6 slots in a room.
PARTICIPANTS_MAX = 65_536
ROOMS_MAX = 10_922


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Limits are counts, times are seconds."""

    node: str  # the machine's name, as `hello` and `server.info` tell it
    version: str  # of the daemon

    # A room without participants is a few KiB; ten thousand of them are still a small process.
    max_rooms: int = 10_000
    # All rooms together; at most 96 KiB each, so about 2 GiB. One core carries fewer than that when
    # all of them listen to several voices.
    max_participants: int = 20_000
    max_participants_per_room: int = 10_000
    # Default of `room.create`; every person on stage is decrypted and measured, heard or not.
    max_speakers_per_room: int = 20
    # On the stages of all rooms together. When they talk, load stops newcomers long before this; it
    # is there against a backend that calls everybody up.
    max_speakers: int = 5_000
    # A core makes some 300 handshakes in a second; beyond this a storm of joins had better wait
    # outside. A second's worth may come at once.
    max_joins_per_s: int = 500
    # How many voices at once a room carries unless `room.create` says otherwise; more than three
    # people talking at the same time are not understood.
    default_slots: int = 3

    # Without an authenticated packet from the peer, it is first `suspect`, then gone. RFC 7675 5.1
    # lets consent live for 30 s; browsers check every 2.5 s, so 5 s is one lost check and 20 s is a
    # network that does not come back.
    suspect_after_s: float = 5.0
    gone_after_s: float = 20.0
    # From `participant.join` to the end of the DTLS handshake.
    join_timeout_s: float = 30.0
    # A room that has been empty this long is closed.
    default_empty_timeout_s: int = 300

    # Whether each listener's packets of a tick leave together: always, never, or when busy.
    segmentation: SegmentationMode = "auto"
    # Whether publishers are told what their listeners lose where that is more than their own line
    # loses: it makes encoders protect more, at the price of everybody's quality.
    report_listener_loss: bool = False

    # Above this share of its core nobody new comes in, so that those inside stay whole.
    max_load: float = 0.9

    def __post_init__(self) -> None:
        if self.max_rooms > ROOMS_MAX or self.max_participants > PARTICIPANTS_MAX:
            raise ValueError(f"at most {ROOMS_MAX} rooms and {PARTICIPANTS_MAX} participants")
