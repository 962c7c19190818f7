"""Rooms on bad networks: loss, moving clients, dead links, crowds."""

from __future__ import annotations

from control.types import LeaveReason, Role
from tests.sim.expectations import Connected, GapBelow, Gone, HeardFromStart, Hears
from tests.sim.network import Bursts, Conditions
from tests.sim.scenario import (
    Blackhole,
    Heal,
    Join,
    Link,
    Noise,
    Rebind,
    Run,
    Scenario,
    Storm,
    Swizzle,
    Talk,
    Vanish,
)
from tests.sim.scenarios.speaking import LOUD, STEADY, listener
from tests.sim.shape import ClientShape
from tests.sim.voice import Voice

WIFI = Conditions(latency_s=0.015, jitter_s=0.04, loss=0.01, bursts=Bursts(0.02, 0.35))
CELLULAR = Conditions(latency_s=0.06, jitter_s=0.08, bursts=Bursts(0.01, 0.2), reorder=0.01)
LOSSY = Conditions(latency_s=0.05, jitter_s=0.02, loss=0.1, reorder=0.1, duplicate=0.05)
SCRAMBLED = Conditions(latency_s=0.03, jitter_s=0.01, reorder=0.15, duplicate=0.10)

FLAKY_WIFI = Scenario(
    "flaky_wifi",
    (
        Join("red"),
        Join("blue", shape=STEADY),
        listener("white"),
        listener("black"),
        Run(1.0),
        Connected(("red", "blue", "white", "black")),
        Link("red", WIFI),
        Link("blue", CELLULAR),
        Link("white", WIFI),
        Talk("red"),
        Talk("blue"),
        Run(6.0),
        Hears("black", ("red", "blue")),
        Link("red", Conditions(loss=0.3, latency_s=0.1, jitter_s=0.05)),
        Run(6.0),
        Hears("white", ("blue",)),
        Link("red", Conditions()),
        Run(3.0),
        Hears("white", ("red", "blue"), within_s=3.0),
    ),
)

LOSSY_JOINS = Scenario(
    "lossy_joins",
    (
        Join("red", shape=STEADY, up=LOSSY, down=LOSSY),
        Join("blue", up=LOSSY, down=LOSSY),
        listener("white", up=LOSSY, down=LOSSY),
        Run(12.0),
        Connected(("red", "blue", "white")),
        Talk("red"),
        Run(2.0),
        Hears("white", ("red",), only=True),
    ),
)

REORDER_AND_DUPLICATE = Scenario(
    "reorder_and_duplicate",
    (
        Join("red", up=SCRAMBLED, down=SCRAMBLED),
        Join("blue", shape=ClientShape(voice=Voice(sequence=65_400, dtx=True)), up=SCRAMBLED),
        listener("white", up=SCRAMBLED, down=SCRAMBLED),
        Run(1.5),
        Talk("red"),
        Talk("blue"),
        Run(10.0),
        Hears("white", ("red", "blue"), within_s=4.0),
    ),
    seeds=5,
)

SLOW_LINKS = Scenario(
    "slow_links",
    (
        Join("red", shape=STEADY, up=Conditions(rate_bps=40_000)),
        Join("blue", shape=STEADY),
        Join("green", shape=STEADY),
        listener("white", down=Conditions(rate_bps=60_000)),
        listener("black"),
        Run(2.0),
        Talk("red"),
        Talk("blue"),
        Talk("green"),
        Run(8.0),
        Hears("black", ("red", "blue", "green")),
        Connected(("white",)),
    ),
    seeds=5,
)

NAT_REBIND = Scenario(
    "nat_rebind",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Run(1.5),
        Rebind("white", aware=True),
        Run(1.5),
        GapBelow("white", gap_s=0.2, within_s=1.6),
        Rebind("white"),  # the NAT alone knows: found out by the next check
        Run(3.5),
        Hears("white", ("red", "blue"), within_s=0.3),
        Rebind("red", aware=True),
        Run(0.5),
        Hears("white", ("red", "blue"), within_s=0.3),
        Rebind("red"),
        Run(3.5),
        Hears("white", ("red", "blue"), within_s=0.3),
        Hears("red", ("blue",), within_s=0.3),
    ),
)

# A free slot loses nothing; an interruption needs three packets to win and may lose as much again.
INTERRUPTIONS = Scenario(
    "interruptions",
    (
        Join("red", shape=STEADY),
        Join("blue", Role.MODERATOR, shape=LOUD),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Run(3.0),
        HeardFromStart("red", "white", lost_s=0.0),
        Talk("blue"),
        Run(1.0),
        HeardFromStart("blue", "white", lost_s=0.12),
    ),
    slots=1,
)

STALLED_THEN_INTERRUPTED = Scenario(
    "stalled_then_interrupted",
    (
        Join("red", shape=STEADY),
        Join("blue", Role.MODERATOR, shape=LOUD),
        listener("white"),
        Run(1.0),
        # What the network holds back comes in one burst, so red's time runs ahead of the clock.
        Link("red", Conditions(latency_s=0.4)),
        Talk("red"),
        Run(0.4),
        Link("red", Conditions()),
        Run(3.0),
        Talk("blue"),
        Run(1.0),
        HeardFromStart("blue", "white", lost_s=0.12),
    ),
    slots=1,
)

SILENT_DEATH = Scenario(
    "silent_death",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        listener("white"),
        listener("black"),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        Vanish("red"),
        Vanish("white"),
        Run(21.5),
        Gone("red", LeaveReason.CONSENT_EXPIRED),
        Gone("white", LeaveReason.CONSENT_EXPIRED),
        Talk("blue"),
        Run(0.5),
        Hears("black", ("blue",), only=True, within_s=0.3),
    ),
)

NEVER_CONNECTS = Scenario(
    "never_connects",
    (
        listener("white"),
        Blackhole("white"),
        Join("red", shape=STEADY),
        Vanish("red"),
        Run(31.0),
        Gone("white", LeaveReason.JOIN_EXPIRED),
        Gone("red", LeaveReason.JOIN_EXPIRED),
    ),
)

JOIN_STORM = Scenario(
    "join_storm",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Storm(200, 5.0),
        Run(1.0),
        Connected(tuple(f"guest{number}" for number in range(200))),
        GapBelow("white", gap_s=0.1, within_s=5.5),
        Hears("guest199", ("red",), within_s=0.3),
    ),
    seeds=2,
)

BLACKHOLE_AND_HEAL = Scenario(
    "blackhole_and_heal",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Run(1.0),
        Blackhole("red", "up"),
        Run(3.0),
        Heal("red"),
        Run(2.0),
        Hears("white", ("red", "blue"), within_s=1.5),
        Blackhole("white"),
        Run(12.0),
        Heal("white"),
        Run(2.0),
        Hears("white", ("red", "blue"), within_s=1.5),
        Blackhole("blue"),
        Run(22.0),
        Gone("blue", LeaveReason.CONSENT_EXPIRED),
        Heal("blue"),
        Run(1.0),
    ),
    seeds=8,
)

ADDRESS_REUSED = Scenario(
    "address_reused",
    (
        Join("red", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        Vanish("white"),
        # An address stays with whoever was heard from it in the last 3 s.
        Run(3.5),
        listener("black", address_of="white"),
        Run(1.0),
        Hears("black", ("red",), within_s=0.3),
        Vanish("red"),
        Run(3.5),
        Join("blue", shape=STEADY, address_of="red"),
        Run(1.0),
        Talk("blue"),
        Run(1.0),
        Hears("black", ("blue",), only=True, within_s=0.3),
        Run(16.0),
        Gone("red", LeaveReason.CONSENT_EXPIRED),
        Gone("white", LeaveReason.CONSENT_EXPIRED),
        Hears("black", ("blue",), only=True, within_s=0.3),
    ),
    seeds=5,
)

NOISE = Scenario(
    "noise",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        listener("white"),
        Run(0.1),
        Noise(1.5),
        Connected(("red", "blue", "white")),
        Talk("red"),
        Talk("blue"),
        Noise(5.0),
        Hears("white", ("red", "blue"), within_s=0.3),
        GapBelow("white", gap_s=0.05, within_s=4.0),
    ),
    seeds=5,
)

SWIZZLE = Scenario(
    "swizzle",
    (
        Join("red"),
        Join("blue", shape=STEADY),
        Join("green", Role.MODERATOR, shape=ClientShape(voice=Voice(dtx=True))),
        listener("white"),
        listener("black"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Talk("green"),
        Swizzle(12.0),
        Run(2.2),
        Hears("white", ("red", "blue"), within_s=2.0),
        Hears("black", ("red", "blue"), within_s=2.0),
    ),
    seeds=5,
)

SCENARIOS = (
    FLAKY_WIFI,
    LOSSY_JOINS,
    REORDER_AND_DUPLICATE,
    SLOW_LINKS,
    NAT_REBIND,
    INTERRUPTIONS,
    STALLED_THEN_INTERRUPTED,
    SILENT_DEATH,
    NEVER_CONNECTS,
    JOIN_STORM,
    BLACKHOLE_AND_HEAL,
    ADDRESS_REUSED,
    NOISE,
    SWIZZLE,
)
