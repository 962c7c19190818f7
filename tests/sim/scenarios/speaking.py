"""Rooms on good networks: who talks, who is heard, what roles and mutes do to it."""

from __future__ import annotations

from control.types import LeaveReason, Role
from tests.sim.client import ClientShape
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
        Join("ada"),
        listener("lin"),
        listener("max"),
        Run(1.0),
        Connected(("ada", "lin", "max")),
        Hush("ada"),
        Run(20.0),
        Hears("lin", (), only=True, within_s=20.0),
        Talk("ada"),
        Run(2.5),
        Hears("lin", ("ada",), only=True),
        CloseMicrophone("ada"),
        Run(10.0),
        Leave("ada"),
        Leave("lin"),
        Run(1.0),
        Gone("ada", LeaveReason.DTLS_CLOSED),
    ),
)

THREE_TALKERS = Scenario(
    "three_talkers",
    (
        Join("ada"),
        Join("bob"),
        Join("cyd", Role.MODERATOR),
        listener("lin"),
        Run(1.0),
        Connected(("ada", "bob", "cyd", "lin")),
        Talk("ada"),
        Talk("bob"),
        Talk("cyd"),
        Run(6.0),
        Hears("lin", ("ada", "bob", "cyd")),
        Hears("ada", ("bob", "cyd"), only=True),
        Leave("bob"),
        Run(1.5),
        Hears("lin", ("ada", "cyd"), only=True, within_s=1.0),
    ),
)

EIGHT_NAMES = ("ada", "bob", "cyd", "dee", "eve", "fay", "gus", "hal")
EIGHT_TALKERS = Scenario(
    "eight_talkers_three_slots",
    (
        *(Join(name, shape=STEADY) for name in EIGHT_NAMES),
        listener("lin"),
        Run(1.0),
        *(Talk(name) for name in EIGHT_NAMES),
        Run(1.0),
        HearsSome("lin", 3, within_s=0.05),
        Run(3.0),
        SetRole("hal", Role.MODERATOR),
        Run(2.0),
        Hears("lin", ("hal",), within_s=0.3),
        HearsSome("lin", 3, within_s=0.05),
        *(Hush(name) for name in EIGHT_NAMES[:5]),
        Run(1.0),
        Hears("lin", EIGHT_NAMES[5:], within_s=0.5),
    ),
)

MUTE_CYCLES = Scenario(
    "mute_cycles",
    (
        Join("ada", shape=STEADY, up=Conditions(latency_s=0.05, jitter_s=0.02)),
        Join("bob", shape=ClientShape(voice=Voice(tells_level=False, pause_s=(0.0, 0.0)))),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Talk("bob"),
        *(
            step
            for seconds in (0.01, 0.1, 0.25, 0.7, 1.5, 3.0)
            for step in (Run(0.33), Mute("ada"), Mute("bob"), Run(seconds), Unmute("ada"))
            + (Run(0.2), Hears("lin", ("ada",), within_s=0.2), Unmute("bob"))
        ),
        Run(0.3),
        Hears("lin", ("ada", "bob"), within_s=0.3),
        Mute("ada", lock=True),
        Run(1.0),
        Hears("lin", ("bob",), only=True, within_s=0.5),
        Unmute("ada", lock=True),
        Run(0.3),
        Hears("lin", ("ada", "bob"), within_s=0.3),
    ),
)

ROLE_CHANGES = Scenario(
    "role_changes",
    (
        Join("ada", Role.LISTENER, shape=STEADY),
        Join("bob", Role.SPEAKER, shape=STEADY),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Talk("bob"),
        Run(1.0),
        Hears("lin", ("bob",), only=True),
        *(
            step
            for role in (Role.SPEAKER, Role.MODERATOR, Role.SPEAKER)
            for step in (
                SetRole("ada", role),
                Run(0.5),
                Hears("lin", ("ada", "bob"), within_s=0.3),
                SetRole("ada", Role.LISTENER),
                Run(0.5),
                Hears("lin", ("bob",), only=True, within_s=0.3),
            )
        ),
        SetRole("bob", Role.LISTENER),
        Run(0.5),
        Hears("lin", (), only=True, within_s=0.3),
        Mute("ada"),
        SetRole("ada", Role.SPEAKER),
        Run(0.5),
        Hears("lin", (), only=True, within_s=0.3),
        Unmute("ada"),
        Run(0.5),
        Hears("lin", ("ada",), only=True, within_s=0.3),
    ),
)

LISTENER_SENDS_MEDIA = Scenario(
    "listener_sends_media",
    (
        Join("eve", Role.LISTENER, shape=LOUD),
        Join("sly", Role.LISTENER, shape=ClientShape(voice=Voice(tells_level=False))),
        Join("ada", shape=SOFT),
        listener("lin"),
        Run(1.0),
        Talk("eve"),
        Talk("sly"),
        Run(2.0),
        Hears("lin", (), only=True, within_s=2.0),
        Talk("ada"),
        Run(2.0),
        Hears("lin", ("ada",), only=True, within_s=2.0),
    ),
)

LEAVE_WHILE_SPEAKING = Scenario(
    "leave_while_speaking",
    (
        Join("ada", shape=STEADY),
        Join("bob", shape=STEADY),
        Join("cyd", shape=STEADY),
        Join("dee", shape=SOFT),
        listener("lin"),
        Run(1.0),
        *(Talk(name) for name in ("ada", "bob", "cyd", "dee")),
        Run(2.0),
        Leave("ada"),
        Run(0.5),
        Gone("ada", LeaveReason.DTLS_CLOSED),
        Hears("lin", ("bob", "cyd", "dee"), only=True, within_s=0.3),
        Remove("bob"),
        Run(0.5),
        Gone("bob", LeaveReason.REMOVED),
        Hears("lin", ("cyd", "dee"), only=True, within_s=0.3),
        Remove("lin"),
        CloseRoom(),
        Run(1.0),
        Gone("cyd", LeaveReason.ROOM_CLOSED),
    ),
)

REPLACE_DUPLICATE = Scenario(
    "replace_duplicate",
    (
        Join("ada", shape=STEADY),
        Join("bob", shape=STEADY),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Talk("bob"),
        Run(1.5),
        Join("ada", shape=STEADY),  # the same person from another device
        Run(0.5),
        Hears("lin", ("bob",), within_s=0.3),
        Talk("ada"),
        Run(1.0),
        Hears("lin", ("ada", "bob"), only=True, within_s=0.5),
        listener("lin"),
        Run(1.0),
        Hears("lin", ("ada", "bob"), within_s=0.5),
    ),
)

ECHO_GROUPS = Scenario(
    "echo_groups",
    (
        Join("ada", shape=STEADY, echo_group="desk"),
        Join("pad", Role.LISTENER, shape=LISTENER, echo_group="desk"),
        Join("bob", shape=STEADY),
        listener("lin"),
        Join("far", shape=STEADY, room="other"),
        Join("ear", Role.LISTENER, room="other", shape=LISTENER),
        Run(1.0),
        Talk("ada"),
        Talk("bob"),
        Talk("far"),
        Run(2.0),
        Hears("pad", ("bob",), only=True),
        Hears("lin", ("ada", "bob"), only=True),
        Hears("ear", ("far",), only=True),
    ),
)


def _pauses(seconds: float, jump: int, ticks: int) -> tuple[Step, ...]:
    """Mute, silence for a while, come back with other numbers."""
    return (
        Mute("ada"),
        CloseMicrophone("ada"),
        Run(seconds),
        Jump("ada", jump, ticks),
        Unmute("ada"),
        Talk("ada"),
        Run(0.6),
        Hears("lin", ("ada",), within_s=0.4),
    )


LONG_MUTE = Scenario(
    "long_mute_sequence_jump",
    (
        Join("ada", shape=ClientShape(voice=Voice(sequence=65_500, clock_stops=True))),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Run(1.0),
        *_pauses(0.05, 1, 0),
        *_pauses(1.0, 63, 48_000),
        *_pauses(5.0, 65, 2**31),
        *_pauses(60.0, 1_000, 123_456_789),
        *_pauses(700.0, 30_000, 2**30 + 7),
        *_pauses(0.2, 32_000, 1),
    ),
)

DRAINED = Scenario(
    "drained",
    (
        Join("ada", shape=STEADY),
        listener("lin"),
        Join("far", shape=STEADY, room="other"),
        Run(1.0),
        Talk("ada"),
        Run(1.0),
        Drain(),
        Run(1.0),
        *(Gone(name, LeaveReason.DRAINED) for name in ("ada", "lin", "far")),
    ),
)

DTX_ONLY = Scenario(
    "dtx_only",
    (
        Join(
            "ada", shape=ClientShape(voice=Voice(dtx=True, talk_s=(0.2, 0.6), pause_s=(0.4, 3.0)))
        ),
        Join("bob", shape=ClientShape(voice=Voice(dtx=True, tells_level=False))),
        Join("cyd", shape=ClientShape(voice=Voice(dtx=True))),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Talk("bob"),
        Hush("cyd"),
        Run(12.0),
        Hears("lin", ("ada", "bob"), within_s=8.0),
        Hush("ada"),
        Run(5.0),
        Talk("ada"),
        Run(1.0),
        Hears("lin", ("ada",), within_s=1.0),
    ),
)

SIXTY_MS_FRAMES = Scenario(
    "sixty_ms_frames",
    (
        Join("ada", shape=ClientShape(voice=Voice(frame_ms=60))),
        Join("bob", shape=ClientShape(voice=Voice(frame_ms=40, dtx=True))),
        Join("cyd", shape=ClientShape(voice=Voice(frame_ms=10))),
        Join("dee", shape=ClientShape(voice=Voice(frame_ms=60, tells_level=False))),
        listener("lin"),
        Run(1.0),
        *(Talk(name) for name in ("ada", "bob", "cyd", "dee")),
        Run(8.0),
        Hears("lin", ("ada", "cyd"), within_s=4.0),
        Mute("ada"),
        Run(1.0),
        Unmute("ada"),
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
