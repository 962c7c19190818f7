"""Networks of people who are on their way."""

from __future__ import annotations

from control.types import Role
from tests.sim.decoding import Decodes
from tests.sim.expectations import Connected, GapBelow, Hears
from tests.sim.moving import RestartIce
from tests.sim.network import Bursts, Conditions
from tests.sim.scenario import (
    Blackhole,
    Heal,
    Join,
    Link,
    Rebind,
    Run,
    Scenario,
    Stall,
    Talk,
)
from tests.sim.scenarios.networks import CELLULAR, LOSSY
from tests.sim.scenarios.speaking import STEADY, listener
from tests.sim.shape import ClientShape

RURAL = Conditions(latency_s=0.09, jitter_s=0.15, loss=0.03, bursts=Bursts(0.02, 0.1))
TWO = (Join("red", shape=STEADY), Join("blue", shape=STEADY), listener("white"), Run(1.0))
BOTH_TALK = (Talk("red"), Talk("blue"))

TRAIN = Scenario(
    "train",
    (
        *TWO,
        *BOTH_TALK,
        Link("red", CELLULAR),
        Link("white", CELLULAR),
        *(
            step
            for tunnel_s in (0.4, 1.5, 4.0)
            for step in (
                Run(1.0),
                Blackhole("red"),
                Blackhole("white"),
                Run(tunnel_s),
                Heal("red"),
                Heal("white"),
                Link("red", RURAL),
                Run(2.0),
                Hears("white", ("red", "blue"), within_s=1.0),
                Link("red", CELLULAR),
            )
        ),
    ),
)

LIFT = Scenario(
    "lift",
    (
        *TWO,
        *BOTH_TALK,
        Run(1.0),
        Link("red", Conditions(latency_s=0.2, loss=0.4)),
        Link("white", Conditions(latency_s=0.2, loss=0.4)),
        Run(1.0),
        Blackhole("red"),
        Blackhole("white"),
        Run(8.0),
        Heal("red"),
        Heal("white"),
        Link("red", Conditions()),
        Link("white", Conditions()),
        Run(2.0),
        Hears("white", ("red", "blue"), within_s=0.3),
        Connected(("red", "white")),
        Decodes("white", concealed_max=0.0, within_s=0.5),
    ),
)

HANDSET = Conditions(latency_s=0.06, jitter_s=0.08, reorder=0.01)
# From one network to another in the middle of speech; the old path is gone at once.
CELLULAR_HANDOVER = Scenario(
    "cellular_handover",
    (
        Join("red", shape=STEADY, up=Conditions(latency_s=0.03), down=Conditions(latency_s=0.03)),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Run(2.0),
        Link("red", HANDSET),
        Rebind("red", aware=True),
        Run(1.5),
        GapBelow("white", gap_s=0.5, within_s=2.0),
        Link("white", HANDSET),
        Rebind("white", aware=True),
        Run(1.5),
        GapBelow("white", gap_s=0.5, within_s=2.0),
        Link("white", Conditions()),
        Rebind("white", aware=True),
        Link("red", Conditions()),
        Rebind("red", aware=True),
        Run(1.5),
        GapBelow("white", gap_s=0.5, within_s=2.0),
    ),
)

# The NAT gives another port every 10 s and nobody is told: the next check finds out.
REBIND_EVERY_10_S = Scenario(
    "rebind_every_10_s",
    (
        *TWO,
        Talk("red"),
        *(
            step
            for _ in range(3)
            for step in (
                Rebind("white"),
                Rebind("red"),
                Run(10.0),
                GapBelow("white", gap_s=0.1, within_s=5.0),
                Hears("white", ("red",), within_s=0.3),
            )
        ),
        Connected(("red", "blue", "white")),
    ),
)

BURST_LOSS = Scenario(
    "burst_loss",
    (
        *TWO,
        Link("red", Conditions(bursts=Bursts(0.03, 0.15))),
        Link("white", Conditions(bursts=Bursts(0.03, 0.15))),
        *BOTH_TALK,
        Run(8.0),
        Hears("white", ("red", "blue")),
    ),
)

# A jitter buffer as wide as the jitter finds everything in its place.
JITTER_300_MS = Scenario(
    "jitter_300_ms",
    (
        Join("red", shape=STEADY, up=Conditions(jitter_s=0.3)),
        Join("blue", shape=STEADY),
        Join(
            "white",
            Role.LISTENER,
            shape=ClientShape(sends=False, jitter_buffer_s=0.7),
            down=Conditions(jitter_s=0.3),
        ),
        Run(1.5),
        *BOTH_TALK,
        Run(8.0),
        Hears("white", ("red", "blue")),
        Decodes("white", concealed_max=0.0, within_s=7.0),
    ),
)

DUPLICATION_2_PERCENT = Scenario(
    "duplication_2_percent",
    (
        *TWO,
        *(Link(name, Conditions(duplicate=0.02)) for name in ("red", "blue", "white")),
        *BOTH_TALK,
        Run(8.0),
        Decodes("white", concealed_max=0.0, within_s=7.0),
    ),
)

REORDERING = Scenario(
    "reordering",
    (
        *TWO,
        *(Link(name, Conditions(reorder=0.1, reorder_s=0.05)) for name in ("red", "blue", "white")),
        *BOTH_TALK,
        Run(8.0),
        Decodes("white", concealed_max=0.0, within_s=7.0),
    ),
)

GONE_FOR_15_S = Scenario(
    "gone_for_15_s",
    (
        *TWO,
        *BOTH_TALK,
        Run(1.0),
        Blackhole("white"),
        Run(15.0),
        Heal("white"),
        Run(2.0),
        # Nobody asked the backend for anything.
        Connected(("white",)),
        Hears("white", ("red", "blue"), within_s=0.1),
        Run(1.0),
        Decodes("white", concealed_max=0.0, within_s=1.0),
    ),
    seeds=10,
)

STALLS = Scenario(
    "stalls",
    (
        *TWO,
        *BOTH_TALK,
        *(
            step
            for seconds in (0.5, 1.0, 2.0)
            for step in (
                Run(1.0),
                Stall("red", seconds, "up"),
                Run(seconds + 1.0),
                Hears("white", ("red", "blue"), within_s=0.1),
                Stall("white", seconds),
                Run(seconds + 1.0),
                Hears("white", ("red", "blue"), within_s=0.1),
            )
        ),
    ),
)

RESTART_DURING_LOSS = Scenario(
    "restart_during_loss",
    (
        Join("red", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        Link("red", LOSSY),
        Link("white", LOSSY),
        Run(2.0),
        RestartIce("red", elsewhere=True),
        Run(4.0),
        Hears("white", ("red",), within_s=0.5),
        RestartIce("white", elsewhere=True),
        Run(4.0),
        RestartIce("white"),
        RestartIce("red"),
        Link("red", Conditions()),
        Link("white", Conditions()),
        Run(2.0),
        GapBelow("white", gap_s=0.1, within_s=0.9),
        Connected(("red", "white")),
    ),
)

SCENARIOS = (
    TRAIN,
    LIFT,
    CELLULAR_HANDOVER,
    REBIND_EVERY_10_S,
    BURST_LOSS,
    JITTER_300_MS,
    DUPLICATION_2_PERCENT,
    REORDERING,
    GONE_FOR_15_S,
    STALLS,
    RESTART_DURING_LOSS,
)
