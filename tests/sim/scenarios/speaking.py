"""Rooms on good networks: who talks, who is heard, what roles and mutes do to it."""

from __future__ import annotations

from control.types import LeaveReason, Role
from tests.sim.expectations import Connected, Gone, Hears, HearsSome
from tests.sim.network import Conditions
from tests.sim.scenario import (
    CloseMicrophone,
    CloseRoom,
    Drain,
    Hush,
    Join,
    Jump,
    Leave,
    Mute,
    Remove,
    Run,
    Scenario,
    SetRole,
    Step,
    Talk,
    Unmute,
)
from tests.sim.shape import ClientShape
from tests.sim.voice import Voice

LISTENER = ClientShape(sends=False)
# Speaks without a pause, so that a check at any moment finds it.
STEADY = ClientShape(voice=Voice(pause_s=(0.0, 0.0)))
LOUD = ClientShape(voice=Voice(pause_s=(0.0, 0.0), level=(8, 12)))
SOFT = ClientShape(voice=Voice(pause_s=(0.0, 0.0), level=(30, 36)))


def listener(name: str, **changes: object) -> Join:
    """Somebody who offers no microphone."""
    return Join(name, Role.LISTENER, shape=LISTENER, **changes)  # type: ignore[arg-type]


QUIET_ROOM = Scenario(
    "quiet_room",
    (
        Join("red"),
        listener("white"),
        listener("black"),
        Run(1.0),
        Connected(("red", "white", "black")),
        Hush("red"),
        Run(20.0),
        Hears("white", (), only=True, within_s=20.0),
        Talk("red"),
        Run(2.5),
        Hears("white", ("red",), only=True),
        CloseMicrophone("red"),
        Run(10.0),
        Leave("red"),
        Leave("white"),
        Run(1.0),
        Gone("red", LeaveReason.DTLS_CLOSED),
    ),
)

THREE_TALKERS = Scenario(
    "three_talkers",
    (
        Join("red"),
        Join("blue"),
        Join("green", Role.MODERATOR),
        listener("white"),
        Run(1.0),
        Connected(("red", "blue", "green", "white")),
        Talk("red"),
        Talk("blue"),
        Talk("green"),
        Run(6.0),
        Hears("white", ("red", "blue", "green")),
        Hears("red", ("blue", "green"), only=True),
        Leave("blue"),
        Run(1.5),
        Hears("white", ("red", "green"), only=True, within_s=1.0),
    ),
    seeds=5,
)

EIGHT_NAMES = ("red", "blue", "green", "gold", "grey", "fay", "gus", "hal")
EIGHT_TALKERS = Scenario(
    "eight_talkers_three_slots",
    (
        *(Join(name, shape=STEADY) for name in EIGHT_NAMES),
        listener("white"),
        Run(1.0),
        *(Talk(name) for name in EIGHT_NAMES),
        Run(1.0),
        HearsSome("white", 3, within_s=0.05),
        Run(3.0),
        SetRole("hal", Role.MODERATOR),
        Run(2.0),
        Hears("white", ("hal",), within_s=0.3),
        HearsSome("white", 3, within_s=0.05),
        *(Hush(name) for name in EIGHT_NAMES[:5]),
        Run(1.0),
        Hears("white", EIGHT_NAMES[5:], within_s=0.5),
    ),
    seeds=5,
)

MUTE_CYCLES = Scenario(
    "mute_cycles",
    (
        Join("red", shape=STEADY, up=Conditions(latency_s=0.05, jitter_s=0.02)),
        Join("blue", shape=ClientShape(voice=Voice(tells_level=False, pause_s=(0.0, 0.0)))),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        *(
            step
            for seconds in (0.01, 0.1, 0.25, 0.7, 1.5, 3.0)
            for step in (Run(0.33), Mute("red"), Mute("blue"), Run(seconds), Unmute("red"))
            + (Run(0.2), Hears("white", ("red",), within_s=0.2), Unmute("blue"))
        ),
        Run(0.3),
        Hears("white", ("red", "blue"), within_s=0.3),
        Mute("red", lock=True),
        Run(1.0),
        Hears("white", ("blue",), only=True, within_s=0.5),
        Unmute("red", lock=True),
        Run(0.3),
        Hears("white", ("red", "blue"), within_s=0.3),
    ),
    seeds=5,
)

ROLE_CHANGES = Scenario(
    "role_changes",
    (
        Join("red", Role.LISTENER, shape=STEADY),
        Join("blue", Role.SPEAKER, shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Run(1.0),
        Hears("white", ("blue",), only=True),
        *(
            step
            for role in (Role.SPEAKER, Role.MODERATOR, Role.SPEAKER)
            for step in (
                SetRole("red", role),
                Run(0.5),
                Hears("white", ("red", "blue"), within_s=0.3),
                SetRole("red", Role.LISTENER),
                Run(0.5),
                Hears("white", ("blue",), only=True, within_s=0.3),
            )
        ),
        SetRole("blue", Role.LISTENER),
        Run(0.5),
        Hears("white", (), only=True, within_s=0.3),
        Mute("red"),
        SetRole("red", Role.SPEAKER),
        Run(0.5),
        Hears("white", (), only=True, within_s=0.3),
        Unmute("red"),
        Run(0.5),
        Hears("white", ("red",), only=True, within_s=0.3),
    ),
    seeds=5,
)

LISTENER_SENDS_MEDIA = Scenario(
    "listener_sends_media",
    (
        Join("grey", Role.LISTENER, shape=LOUD),
        Join("rogue", Role.LISTENER, shape=ClientShape(voice=Voice(tells_level=False))),
        Join("red", shape=SOFT),
        listener("white"),
        Run(1.0),
        Talk("grey"),
        Talk("rogue"),
        Run(2.0),
        Hears("white", (), only=True, within_s=2.0),
        Talk("red"),
        Run(2.0),
        Hears("white", ("red",), only=True, within_s=2.0),
    ),
)

LEAVE_WHILE_SPEAKING = Scenario(
    "leave_while_speaking",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        Join("green", shape=STEADY),
        Join("gold", shape=SOFT),
        listener("white"),
        Run(1.0),
        *(Talk(name) for name in ("red", "blue", "green", "gold")),
        Run(2.0),
        Leave("red"),
        Run(0.5),
        Gone("red", LeaveReason.DTLS_CLOSED),
        Hears("white", ("blue", "green", "gold"), only=True, within_s=0.3),
        Remove("blue"),
        Run(0.5),
        Gone("blue", LeaveReason.REMOVED),
        Hears("white", ("green", "gold"), only=True, within_s=0.3),
        Remove("white"),
        CloseRoom(),
        Run(1.0),
        Gone("green", LeaveReason.ROOM_CLOSED),
    ),
    seeds=5,
)

REPLACE_DUPLICATE = Scenario(
    "replace_duplicate",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Run(1.5),
        Join("red", shape=STEADY),  # the same person from another device
        Run(0.5),
        Hears("white", ("blue",), within_s=0.3),
        Talk("red"),
        Run(1.0),
        Hears("white", ("red", "blue"), only=True, within_s=0.5),
        listener("white"),
        Run(1.0),
        Hears("white", ("red", "blue"), within_s=0.5),
    ),
    seeds=5,
)

ECHO_GROUPS = Scenario(
    "echo_groups",
    (
        Join("red", shape=STEADY, echo_group="desk"),
        Join("pad", Role.LISTENER, shape=LISTENER, echo_group="desk"),
        Join("blue", shape=STEADY),
        listener("white"),
        Join("far", shape=STEADY, room="other"),
        Join("ear", Role.LISTENER, room="other", shape=LISTENER),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Talk("far"),
        Run(2.0),
        Hears("pad", ("blue",), only=True),
        Hears("white", ("red", "blue"), only=True),
        Hears("ear", ("far",), only=True),
    ),
)


def _pauses(seconds: float, jump: int, ticks: int) -> tuple[Step, ...]:
    """Mute, silence for a while, come back with other numbers."""
    return (
        Mute("red"),
        CloseMicrophone("red"),
        Run(seconds),
        Jump("red", jump, ticks),
        Unmute("red"),
        Talk("red"),
        Run(0.6),
        Hears("white", ("red",), within_s=0.4),
    )


LONG_MUTE = Scenario(
    "long_mute_sequence_jump",
    (
        Join("red", shape=ClientShape(voice=Voice(sequence=65_500, clock_stops=True))),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        *_pauses(0.05, 1, 0),
        *_pauses(1.0, 63, 48_000),
        *_pauses(5.0, 65, 2**31),
        *_pauses(60.0, 1_000, 123_456_789),
        *_pauses(700.0, 30_000, 2**30 + 7),
        *_pauses(0.2, 32_000, 1),
    ),
    seeds=5,
)

DRAINED = Scenario(
    "drained",
    (
        Join("red", shape=STEADY),
        listener("white"),
        Join("far", shape=STEADY, room="other"),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        Drain(),
        Run(1.0),
        *(Gone(name, LeaveReason.DRAINED) for name in ("red", "white", "far")),
    ),
)

DTX_ONLY = Scenario(
    "dtx_only",
    (
        Join(
            "red", shape=ClientShape(voice=Voice(dtx=True, talk_s=(0.2, 0.6), pause_s=(0.4, 3.0)))
        ),
        Join("blue", shape=ClientShape(voice=Voice(dtx=True, tells_level=False))),
        Join("green", shape=ClientShape(voice=Voice(dtx=True))),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Hush("green"),
        Run(12.0),
        Hears("white", ("red", "blue"), within_s=8.0),
        Hush("red"),
        Run(5.0),
        Talk("red"),
        Run(1.0),
        Hears("white", ("red",), within_s=1.0),
    ),
)

SIXTY_MS_FRAMES = Scenario(
    "sixty_ms_frames",
    (
        Join("red", shape=ClientShape(voice=Voice(frame_ms=60))),
        Join("blue", shape=ClientShape(voice=Voice(frame_ms=40, dtx=True))),
        Join("green", shape=ClientShape(voice=Voice(frame_ms=10))),
        Join("gold", shape=ClientShape(voice=Voice(frame_ms=60, tells_level=False))),
        listener("white"),
        Run(1.0),
        *(Talk(name) for name in ("red", "blue", "green", "gold")),
        Run(8.0),
        Hears("white", ("red", "green"), within_s=4.0),
        Mute("red"),
        Run(1.0),
        Unmute("red"),
        Run(2.0),
    ),
)

SCENARIOS = (
    QUIET_ROOM,
    THREE_TALKERS,
    EIGHT_TALKERS,
    MUTE_CYCLES,
    ROLE_CHANGES,
    LISTENER_SENDS_MEDIA,
    LEAVE_WHILE_SPEAKING,
    REPLACE_DUPLICATE,
    ECHO_GROUPS,
    LONG_MUTE,
    DRAINED,
    DTX_ONLY,
    SIXTY_MS_FRAMES,
)
