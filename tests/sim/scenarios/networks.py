"""Rooms on bad networks: loss, moving clients, dead links, crowds."""

from __future__ import annotations

from control.types import LeaveReason, Role
from tests.sim.client import ClientShape
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
from tests.sim.voice import Voice

WIFI = Conditions(latency_s=0.015, jitter_s=0.04, loss=0.01, bursts=Bursts(0.02, 0.35))
CELLULAR = Conditions(latency_s=0.06, jitter_s=0.08, bursts=Bursts(0.01, 0.2), reorder=0.01)
LOSSY = Conditions(latency_s=0.05, jitter_s=0.02, loss=0.1, reorder=0.1, duplicate=0.05)
SCRAMBLED = Conditions(latency_s=0.03, jitter_s=0.01, reorder=0.15, duplicate=0.10)

FLAKY_WIFI = Scenario(
    "flaky_wifi",
    (
        Join("ada"),
        Join("bob", shape=STEADY),
        listener("lin"),
        listener("max"),
        Run(1.0),
        Connected(("ada", "bob", "lin", "max")),
        Link("ada", WIFI),
        Link("bob", CELLULAR),
        Link("lin", WIFI),
        Talk("ada"),
        Talk("bob"),
        Run(6.0),
        Hears("max", ("ada", "bob")),
        Link("ada", Conditions(loss=0.3, latency_s=0.1, jitter_s=0.05)),
        Run(6.0),
        Hears("lin", ("bob",)),
        Link("ada", Conditions()),
        Run(3.0),
        Hears("lin", ("ada", "bob"), within_s=3.0),
    ),
)

LOSSY_JOINS = Scenario(
    "lossy_joins",
    (
        Join("ada", shape=STEADY, up=LOSSY, down=LOSSY),
        Join("bob", up=LOSSY, down=LOSSY),
        listener("lin", up=LOSSY, down=LOSSY),
        Run(12.0),
        Connected(("ada", "bob", "lin")),
        Talk("ada"),
        Run(2.0),
        Hears("lin", ("ada",), only=True),
    ),
)

REORDER_AND_DUPLICATE = Scenario(
    "reorder_and_duplicate",
    (
        Join("ada", up=SCRAMBLED, down=SCRAMBLED),
        Join("bob", shape=ClientShape(voice=Voice(sequence=65_400, dtx=True)), up=SCRAMBLED),
        listener("lin", up=SCRAMBLED, down=SCRAMBLED),
        Run(1.5),
        Talk("ada"),
        Talk("bob"),
        Run(10.0),
        Hears("lin", ("ada", "bob"), within_s=4.0),
    ),
)

SLOW_LINKS = Scenario(
    "slow_links",
    (
        Join("ada", shape=STEADY, up=Conditions(rate_bps=40_000)),
        Join("bob", shape=STEADY),
        Join("cyd", shape=STEADY),
        listener("lin", down=Conditions(rate_bps=60_000)),
        listener("max"),
        Run(2.0),
        Talk("ada"),
        Talk("bob"),
        Talk("cyd"),
        Run(8.0),
        Hears("max", ("ada", "bob", "cyd")),
        Connected(("lin",)),
    ),
)

NAT_REBIND = Scenario(
    "nat_rebind",
    (
        Join("ada", shape=STEADY),
        Join("bob", shape=STEADY),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Talk("bob"),
        Run(1.5),
        Rebind("lin", aware=True),
        Run(1.5),
        GapBelow("lin", gap_s=0.2, within_s=1.6),
        Rebind("lin"),  # the NAT alone knows: found out by the next check
        Run(3.5),
        Hears("lin", ("ada", "bob"), within_s=0.3),
        Rebind("ada", aware=True),
        Run(0.5),
        Hears("lin", ("ada", "bob"), within_s=0.3),
        Rebind("ada"),
        Run(3.5),
        Hears("lin", ("ada", "bob"), within_s=0.3),
        Hears("ada", ("bob",), within_s=0.3),
    ),
)

# A free slot loses nothing; an interruption needs three packets to win and may lose as much again.
INTERRUPTIONS = Scenario(
    "interruptions",
    (
        Join("ada", shape=STEADY),
        Join("bob", Role.MODERATOR, shape=LOUD),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Run(3.0),
        HeardFromStart("ada", "lin", lost_s=0.0),
        Talk("bob"),
        Run(1.0),
        HeardFromStart("bob", "lin", lost_s=0.12),
    ),
    slots=1,
)

STALLED_THEN_INTERRUPTED = Scenario(
    "stalled_then_interrupted",
    (
        Join("ada", shape=STEADY),
        Join("bob", Role.MODERATOR, shape=LOUD),
        listener("lin"),
        Run(1.0),
        # What the network holds back comes in one burst, so ada's time runs ahead of the clock.
        Link("ada", Conditions(latency_s=0.4)),
        Talk("ada"),
        Run(0.4),
        Link("ada", Conditions()),
        Run(3.0),
        Talk("bob"),
        Run(1.0),
        HeardFromStart("bob", "lin", lost_s=0.12),
    ),
    slots=1,
)

SILENT_DEATH = Scenario(
    "silent_death",
    (
        Join("ada", shape=STEADY),
        Join("bob", shape=STEADY),
        listener("lin"),
        listener("max"),
        Run(1.0),
        Talk("ada"),
        Run(1.0),
        Vanish("ada"),
        Vanish("lin"),
        Run(21.5),
        Gone("ada", LeaveReason.CONSENT_EXPIRED),
        Gone("lin", LeaveReason.CONSENT_EXPIRED),
        Talk("bob"),
        Run(0.5),
        Hears("max", ("bob",), only=True, within_s=0.3),
    ),
)

NEVER_CONNECTS = Scenario(
    "never_connects",
    (
        listener("lin"),
        Blackhole("lin"),
        Join("ada", shape=STEADY),
        Vanish("ada"),
        Run(31.0),
        Gone("lin", LeaveReason.JOIN_EXPIRED),
        Gone("ada", LeaveReason.JOIN_EXPIRED),
    ),
)

JOIN_STORM = Scenario(
    "join_storm",
    (
        Join("ada", shape=STEADY),
        Join("bob", shape=STEADY),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Storm(200, 5.0),
        Run(1.0),
        Connected(tuple(f"guest{number}" for number in range(200))),
        GapBelow("lin", gap_s=0.1, within_s=5.5),
        Hears("guest199", ("ada",), within_s=0.3),
    ),
    seeds=2,
)

BLACKHOLE_AND_HEAL = Scenario(
    "blackhole_and_heal",
    (
        Join("ada", shape=STEADY),
        Join("bob", shape=STEADY),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Talk("bob"),
        Run(1.0),
        Blackhole("ada", "up"),
        Run(3.0),
        Heal("ada"),
        Run(2.0),
        Hears("lin", ("ada", "bob"), within_s=1.5),
        Blackhole("lin"),
        Run(12.0),
        Heal("lin"),
        Run(2.0),
        Hears("lin", ("ada", "bob"), within_s=1.5),
        Blackhole("bob"),
        Run(22.0),
        Gone("bob", LeaveReason.CONSENT_EXPIRED),
        Heal("bob"),
        Run(1.0),
    ),
)

ADDRESS_REUSED = Scenario(
    "address_reused",
    (
        Join("ada", shape=STEADY),
        listener("lin"),
        Run(1.0),
        Talk("ada"),
        Run(1.0),
        Vanish("lin"),
        Run(0.5),
        listener("max", address_of="lin"),
        Run(1.0),
        Hears("max", ("ada",), within_s=0.3),
        Vanish("ada"),
        Join("bob", shape=STEADY, address_of="ada"),
        Run(1.0),
        Talk("bob"),
        Run(1.0),
        Hears("max", ("bob",), only=True, within_s=0.3),
        Run(19.0),
        Gone("ada", LeaveReason.CONSENT_EXPIRED),
        Gone("lin", LeaveReason.CONSENT_EXPIRED),
        Hears("max", ("bob",), only=True, within_s=0.3),
    ),
)

NOISE = Scenario(
    "noise",
    (
        Join("ada", shape=STEADY),
        Join("bob", shape=STEADY),
        listener("lin"),
        Run(0.1),
        Noise(1.5),
        Connected(("ada", "bob", "lin")),
        Talk("ada"),
        Talk("bob"),
        Noise(5.0),
        Hears("lin", ("ada", "bob"), within_s=0.3),
        GapBelow("lin", gap_s=0.05, within_s=4.0),
    ),
)

SWIZZLE = Scenario(
    "swizzle",
    (
        Join("ada"),
        Join("bob", shape=STEADY),
        Join("cyd", Role.MODERATOR, shape=ClientShape(voice=Voice(dtx=True))),
        listener("lin"),
        listener("max"),
        Run(1.0),
        Talk("ada"),
        Talk("bob"),
        Talk("cyd"),
        Swizzle(12.0),
        Run(2.2),
        Hears("lin", ("ada", "bob"), within_s=2.0),
        Hears("max", ("ada", "bob"), within_s=2.0),
    ),
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
