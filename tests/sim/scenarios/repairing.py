"""Loss and what repairs it: RED and NACK, each way; and the reference times of those who listen."""

from __future__ import annotations

from control.types import Role
from tests.sim.decoding import Decodes, RoundTrips
from tests.sim.network import Conditions, Runs
from tests.sim.scenario import Direction, Hush, Join, Link, Mute, Run, Scenario, Step, Talk, Unmute
from tests.sim.scenarios.networks import CELLULAR, SCRAMBLED, WIFI
from tests.sim.scenarios.speaking import STEADY, listener
from tests.sim.shape import ClientShape
from tests.sim.tiers import ChangesAtMost
from tests.sim.voice import Voice

ALWAYS = Voice(pause_s=(0.0, 0.0))
RED_ONE = ClientShape(voice=ALWAYS, red=True, copies=1)
RED_TWO = ClientShape(voice=ALWAYS, red=True, copies=2)
NACK = ClientShape(voice=ALWAYS, nack=True, xr=True)
READS_RED = ClientShape(sends=False, red=True)
ASKS = ClientShape(sends=False, nack=True, jitter_buffer_s=0.3)
BOTH = ClientShape(sends=False, nack=True, red=True, jitter_buffer_s=0.4)
# Both ways together 80 ms.
FAR = Conditions(latency_s=0.04)


def far(loss: float) -> Conditions:
    """80 ms there and back, with so much lost on this way."""
    return Conditions(latency_s=0.04, loss=loss)


def hears(name: str, shape: ClientShape, down: Conditions = FAR) -> Join:
    """A listener at the end of a link."""
    return Join(name, Role.LISTENER, shape=shape, down=down)


RED_AND_PLAIN = Scenario(
    "red_and_plain",
    (
        Join("red", shape=RED_ONE),
        Join("blue", shape=RED_TWO),
        Join("green", shape=STEADY),
        hears("white", READS_RED),
        listener("grey"),
        Run(1.0),
        *(Talk(name) for name in ("red", "blue", "green")),
        Run(3.0),
        Mute("red"),
        Run(0.2),
        Unmute("red"),
        Hush("blue"),
        Run(1.0),
        Talk("blue"),
        Run(2.0),
        *(Decodes(name, concealed_max=0.0, within_s=5.0) for name in ("white", "grey", "green")),
    ),
)


def _uplink(name: str, shape: ClientShape, steps: tuple[tuple[Conditions, float], ...]) -> Scenario:
    """A publisher with RED, and what listeners without conceal of it."""
    lossy = (
        step
        for conditions, concealed_max in steps
        for step in (
            Link("red", conditions, "up"),
            Run(8.0),
            Decodes("white", concealed_max=concealed_max, within_s=7.4),
            Decodes("grey", concealed_max=concealed_max, within_s=7.4),
        )
    )
    return Scenario(
        name,
        (
            Join("red", shape=shape),
            hears("white", READS_RED),
            listener("grey"),
            Run(1.0),
            Talk("red"),
            *lossy,
        ),
    )


# One copy leaves p^2, two leave p^3; 370 packets of each decide within 4 standard deviations.
RED_UPLINK_ONE = _uplink(
    "red_uplink_one",
    RED_ONE,
    ((far(0.1), 0.032), (far(0.2), 0.085), (far(0.3), 0.155)),
)
RED_UPLINK_TWO = _uplink(
    "red_uplink_two",
    RED_TWO,
    ((far(0.1), 0.012), (far(0.2), 0.030), (far(0.3), 0.070)),
)
# A report between two pairs lets them follow each other: then two of four are found.
PAIRS = Conditions(latency_s=0.04, runs=Runs(0.06, 2))
RED_UPLINK_PAIRS = _uplink("red_uplink_pairs", RED_TWO, ((PAIRS, 0.02), (far(0.0), 0.0)))


def _downlink(name: str, down: Conditions, concealed_max: float, recovered_min: float) -> Scenario:
    """A listener with RED: its first reports tell the server of the loss."""
    return Scenario(
        name,
        (
            Join("red", shape=STEADY),
            hears("white", READS_RED),
            Run(1.0),
            Talk("red"),
            Run(2.0),
            Link("white", down, "down"),
            # Two reports, and a step for each.
            Run(10.0),
            Run(16.0),
            Decodes(
                "white", concealed_max=concealed_max, within_s=15.0, recovered_min=recovered_min
            ),
        ),
    )


# 750 packets each; at 10 % one copy or two, above 15 % two.
RED_DOWNLINK_10 = _downlink("red_downlink_10", far(0.1), 0.025, 0.05)
RED_DOWNLINK_20 = _downlink("red_downlink_20", far(0.2), 0.025, 0.12)
RED_DOWNLINK_30 = _downlink("red_downlink_30", far(0.3), 0.055, 0.18)
RED_DOWNLINK_PAIRS = _downlink(
    "red_downlink_pairs", Conditions(latency_s=0.04, runs=Runs(0.12, 2)), 0.02, 0.12
)

# Beyond the clean way back of the request, only the repetition may be lost, twice.
NACK_DOWNLINK = Scenario(
    "nack_downlink",
    (
        Join("red", shape=STEADY),
        Join("white", Role.LISTENER, shape=ASKS, up=FAR, down=far(0.1)),
        Run(2.0),
        Talk("red"),
        Run(40.0),
        Decodes("white", concealed_max=0.005, within_s=38.0, repeated_min=0.05),
    ),
)

NACK_UPLINK = Scenario(
    "nack_uplink",
    (
        Join("red", shape=NACK, up=far(0.1), down=FAR),
        Join("white", Role.LISTENER, shape=ASKS),
        Run(2.0),
        Talk("red"),
        # The server knows the round trip by the answers to its reference times.
        Run(10.0),
        Run(30.0),
        Decodes("white", concealed_max=0.005, within_s=28.0),
    ),
)

# What red sends again is on its way to them when they ask for it, and when they report.
NACK_UPLINK_HEARD = Scenario(
    "nack_uplink_heard",
    (
        Join("red", shape=NACK, up=far(0.1), down=FAR),
        *(
            Join(name, Role.LISTENER, shape=BOTH, up=conditions, down=conditions)
            for name, conditions in (
                ("white", Conditions(latency_s=0.005, jitter_s=0.02)),
                ("grey", Conditions(latency_s=0.02, jitter_s=0.02)),
                ("black", Conditions(latency_s=0.08)),
            )
        ),
        Run(2.0),
        Talk("red"),
        Run(40.0),
        *(ChangesAtMost(name, 0, within_s=42.0) for name in ("white", "grey", "black")),
    ),
    seeds=6,
)

# Beyond 200 ms nothing is asked for: it would come too late.
NACK_UPLINK_TOO_FAR = Scenario(
    "nack_uplink_too_far",
    (
        Join(
            "red",
            shape=NACK,
            up=Conditions(latency_s=0.15, loss=0.1),
            down=Conditions(latency_s=0.15),
        ),
        listener("white"),
        Run(3.0),
        Talk("red"),
        Run(20.0),
    ),
    seeds=4,
)

REFERENCE_TIMES = Scenario(
    "reference_times",
    (
        Join("red", shape=STEADY),
        Join("white", Role.LISTENER, shape=ClientShape(sends=False, xr=True), up=FAR, down=FAR),
        Join(
            "grey",
            Role.LISTENER,
            shape=ClientShape(sends=False, xr=True, red=True, nack=True),
            up=far(0.1),
            down=far(0.1),
        ),
        Run(2.0),
        Talk("red"),
        Run(25.0),
        # The way there and back, and the millisecond in which the server's datagrams come.
        RoundTrips("white", rtt_s=(0.0799, 0.0825), answers_min=3),
        RoundTrips("grey", rtt_s=(0.0799, 0.0825), answers_min=1),
    ),
)

ALL_REPAIRS = ClientShape(sends=False, red=True, nack=True, xr=True)


def _everything(name: str, conditions: Conditions, direction: Direction = "both") -> Scenario:
    """All means at once, in both ways, beside somebody who has none."""
    talks: tuple[Step, ...] = tuple(Talk(name) for name in ("red", "blue", "green"))
    return Scenario(
        name,
        (
            Join("red", shape=ClientShape(red=True, copies=1, nack=True, xr=True)),
            Join("blue", shape=ClientShape(red=True, copies=2, voice=Voice(dtx=True))),
            Join("green", shape=ClientShape(nack=True, voice=Voice(frame_ms=60))),
            Join("white", Role.LISTENER, shape=ALL_REPAIRS),
            hears("grey", READS_RED),
            listener("black"),
            Run(1.0),
            *(Link(name, conditions, direction) for name in ("red", "blue", "white", "grey")),
            *talks,
            Run(4.0),
            Mute("red"),
            Run(0.15),
            Unmute("red"),
            Run(4.0),
        ),
    )


REPAIRS_ON_WIFI = _everything("repairs_on_wifi", WIFI)
REPAIRS_SCRAMBLED = _everything("repairs_scrambled", SCRAMBLED)
REPAIRS_ON_CELLULAR = _everything("repairs_on_cellular", CELLULAR)

SCENARIOS = (
    RED_AND_PLAIN,
    RED_UPLINK_ONE,
    RED_UPLINK_TWO,
    RED_UPLINK_PAIRS,
    RED_DOWNLINK_10,
    RED_DOWNLINK_20,
    RED_DOWNLINK_30,
    RED_DOWNLINK_PAIRS,
    NACK_DOWNLINK,
    NACK_UPLINK,
    NACK_UPLINK_HEARD,
    NACK_UPLINK_TOO_FAR,
    REFERENCE_TIMES,
    REPAIRS_ON_WIFI,
    REPAIRS_SCRAMBLED,
    REPAIRS_ON_CELLULAR,
)
