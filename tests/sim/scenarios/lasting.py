"""Streams that end, change or last: silence, SSRCs, edges of numbers, drift, a day, a crowd."""

from __future__ import annotations

from dataclasses import replace

from control.types import Role
from tests.sim.decoding import Decodes, Silenced
from tests.sim.expectations import Connected, Hears, HearsSome
from tests.sim.listening import Ask
from tests.sim.scenario import (
    Blackhole,
    ChangeSsrc,
    CloseMicrophone,
    Heal,
    Hush,
    Join,
    Leave,
    Mute,
    Run,
    Scenario,
    SetRole,
    Step,
    Talk,
    Unmute,
)
from tests.sim.scenarios.speaking import STEADY, listener
from tests.sim.shape import ClientShape
from tests.sim.voice import Voice

TWO = (Join("red", shape=STEADY), Join("blue", shape=STEADY), listener("white"), Run(1.0))
BOTH_TALK = (Talk("red"), Talk("blue"))

# There, allowed and connected, but nothing comes: nothing is heard, and nobody leaves.
SILENT_UPLINK = Scenario(
    "silent_uplink",
    (
        *TWO,
        Talk("blue"),
        Run(8.0),
        Hears("white", ("blue",), only=True, within_s=7.0),
        Talk("red"),
        Run(0.5),
        CloseMicrophone("red"),
        Run(24.0),
        Connected(("red",)),
        Hears("white", ("blue",), only=True, within_s=20.0),
        Talk("red"),
        Run(0.3),
        Hears("white", ("red", "blue"), within_s=0.2),
    ),
)

SSRC_CHANGE = Scenario(
    "ssrc_change",
    (
        *TWO,
        *BOTH_TALK,
        Run(1.0),
        ChangeSsrc("red"),
        # The old one counts as alive for a second.
        Run(1.5),
        Hears("white", ("red", "blue"), within_s=0.3),
        Mute("red"),
        CloseMicrophone("red"),
        Run(2.0),
        ChangeSsrc("red"),
        Unmute("red"),
        Talk("red"),
        Run(0.3),
        Hears("white", ("red", "blue"), within_s=0.2),
    ),
)

EDGES = ((65_535, 2**32 - 1), (65_533, 2**31 - 1), (32_767, 0), (0, 2**32 - 48_000))
WRAPS = Scenario(
    "wraps",
    (
        *(
            Join(
                f"edge{number}",
                shape=ClientShape(
                    voice=Voice(
                        pause_s=(0.0, 0.0), sequence=sequence, timestamp=ticks, frame_ms=frame_ms
                    )
                ),
            )
            for number, ((sequence, ticks), frame_ms) in enumerate(
                zip(EDGES, (20, 10, 20, 60), strict=True)
            )
        ),
        Join("white", Role.LISTENER, shape=ClientShape(sends=False, lines=4)),
        Run(1.0),
        *(Talk(f"edge{number}") for number in range(4)),
        Run(2.0),
        Mute("edge0"),
        Run(0.5),
        Unmute("edge0"),
        Run(2.0),
        Decodes("white", concealed_max=0.0, within_s=3.4),
    ),
    slots=4,
)


def _ends(
    name: str, end: tuple[Step, ...], back: tuple[Step, ...], packets: tuple[int, int] = (23, 26)
) -> tuple[Step, ...]:
    """Speech that ends so is followed by half a second of silence, and nothing after that."""
    return (
        Run(1.0),
        *end,
        Run(1.2),
        Silenced(name, packets, within_s=1.2),
        Run(0.5),
        Silenced(name, (0, 0), within_s=0.5),
        *back,
    )


LOST = (19, 26)
ENDS_IN_SILENCE = Scenario(
    "ends_in_silence",
    (
        Join("red", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        *_ends("white", (Mute("red"),), (Unmute("red"),)),
        *_ends(
            "white",
            (SetRole("red", Role.LISTENER),),
            (SetRole("red", Role.SPEAKER),),
        ),
        # That a publisher is lost is noticed up to a tenth of a second late.
        *_ends("white", (Blackhole("red", "up"),), (Heal("red"),), packets=LOST),
        *_ends("white", (CloseMicrophone("red"),), (Talk("red"),), packets=LOST),
        # The first real packet ends it.
        Run(1.0),
        Mute("red"),
        Run(0.2),
        Unmute("red"),
        Run(0.5),
        Silenced("white", (8, 11), within_s=0.7),
        Hears("white", ("red",), within_s=0.1),
        *_ends("white", (Leave("red"),), ()),
    ),
)

# A pause of its own by DTX, and what another takes over, end without the server's doing.
ENDS_BY_ITSELF = Scenario(
    "ends_by_itself",
    (
        Join("red", shape=ClientShape(voice=Voice(dtx=True, pause_s=(0.0, 0.0)))),
        Join("blue", Role.MODERATOR, shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        Hush("red"),
        Run(3.0),
        Silenced("white", (0, 0), within_s=4.0),
        Talk("red"),
        Run(2.0),
        Talk("blue"),
        Run(1.0),
        Silenced("white", (0, 0), within_s=3.0),
    ),
    slots=1,
)


def drifting(ppm: float) -> ClientShape:
    """Short words with long pauses, which is what can be simulated for long."""
    voice = Voice(talk_s=(0.3, 0.6), pause_s=(3.0, 12.0), dtx=True, drift_ppm=ppm)
    return ClientShape(lines=2, voice=voice)


# 40 ms each way in this time, which nobody adds up.
CLOCK_DRIFT = Scenario(
    "clock_drift",
    (
        Join("red", shape=drifting(200.0)),
        Join("blue", shape=drifting(-200.0)),
        listener("white"),
        Run(1.0),
        *BOTH_TALK,
        Run(200.0, slice_s=10.0),
        Hears("white", ("red", "blue"), within_s=20.0),
        Decodes("white", concealed_max=0.0, within_s=190.0),
    ),
)

# Consent and reports as seldom as may be; time passes quickly where nothing happens.
PATIENT = ClientShape(consent_s=(14.0, 16.0), report_s=(200.0, 300.0))
DAY_S = 86_400.0
MUTED_FOR_A_DAY = Scenario(
    "muted_for_a_day",
    (
        Join("red", shape=replace(PATIENT, voice=Voice(pause_s=(0.0, 0.0)))),
        Join("white", Role.LISTENER, shape=replace(PATIENT, sends=False)),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        Mute("red"),
        CloseMicrophone("red"),
        Run(DAY_S, slice_s=60.0),
        Connected(("red", "white")),
        Unmute("red"),
        Talk("red"),
        Run(1.5),
        Hears("white", ("red",), within_s=0.1),
        Decodes("white", concealed_max=0.0, within_s=0.8),
    ),
    seeds=1,
)

ARGUING = Voice(talk_s=(0.3, 1.5), pause_s=(0.1, 2.0))
HUNDRED = tuple(f"guest{number}" for number in range(100))
# They hear nothing themselves, which leaves the fight for the slots.
HUNDRED_SPEAKERS = Scenario(
    "hundred_speakers",
    (
        *(
            Join(
                name, shape=ClientShape(lines=2, voice=Voice(talk_s=(0.3, 1.5), pause_s=(0.1, 2.0)))
            )
            for name in HUNDRED
        ),
        *(Ask(name, paused=True) for name in HUNDRED),
        listener("white"),
        Run(1.0),
        *(Talk(name) for name in HUNDRED),
        Run(0.6),
        HearsSome("white", 3, within_s=0.2),
        Run(0.6),
        HearsSome("white", 3, within_s=0.2),
    ),
    max_speakers=100,
    seeds=12,
)

SCENARIOS = (
    SILENT_UPLINK,
    SSRC_CHANGE,
    WRAPS,
    ENDS_IN_SILENCE,
    ENDS_BY_ITSELF,
    CLOCK_DRIFT,
    MUTED_FOR_A_DAY,
    HUNDRED_SPEAKERS,
)
