"""Listeners whose lines are too narrow for all the voices of a room, now or for a while."""

from __future__ import annotations

from control.types import Role
from tests.sim.decoding import Decodes
from tests.sim.expectations import Connected, GapBelow, Hears
from tests.sim.moving import Move
from tests.sim.network import Conditions, narrow
from tests.sim.scenario import (
    Blackhole,
    Heal,
    Join,
    Link,
    Run,
    Scenario,
    SetRole,
    Step,
    Talk,
)
from tests.sim.scenarios.speaking import STEADY
from tests.sim.shape import ClientShape
from tests.sim.tiers import ChangesAtMost, NothingDropped, OnTier
from tests.sim.voice import Voice

# As Chromium: RED, an m-line for the mix, feedback about stamped packets, a report every 5 s.
BROWSER = ClientShape(
    sends=False, lines=4, red=True, transport_cc=True, jitter_buffer_s=0.5, report_s=(4.0, 6.0)
)
# The same without feedback, as Firefox.
REPORTS_ONLY = ClientShape(sends=False, lines=4, xr=True, jitter_buffer_s=0.5, report_s=(4.0, 6.0))
WIDE = Conditions(latency_s=0.02)
FULL = ("A0", "A1")
SETTLES_S = 6.0
# Checks, keys and the first packets.
CONNECTS_S = 0.3
TALKERS = ("red", "blue", "green")
# What carries three talkers at 27 kbit/s each: 167 kbit/s one by one, 110 packed. The best that a
# line could carry, and the next one, where its estimate falls short of it by some percent.
FITTING = {
    400: FULL,
    150: ("A2", "B1"),
    80: ("B1", "B2"),
    45: ("B2", "B3"),
    28: ("B3", "B4"),
    20: ("B4", "B5"),
    14: ("B5",),
}


def talkers(room: str = "main", *names: str) -> tuple[Step, ...]:
    """Three people who talk without a pause."""
    names = names or TALKERS
    joins = tuple(Join(name, room=room, shape=STEADY) for name in names)
    return (*joins, Run(1.0), *(Talk(name) for name in names), Run(0.5))


def on_line(name: str, kbps: float, shape: ClientShape = BROWSER, **changes: object) -> Join:
    """A listener who joins on a line of so much."""
    down = narrow(kbps * 1_000)
    return Join(name, Role.LISTENER, shape=shape, down=down, family="ipv4", **changes)  # type: ignore[arg-type]


def _line_speed(kbps: int) -> Scenario:
    """Settled within 6 s of joining, and nothing dropped from then on."""
    return Scenario(
        f"line_of_{kbps}",
        (
            *talkers(),
            on_line("white", kbps),
            Run(CONNECTS_S + SETTLES_S),
            OnTier("white", FITTING[kbps]),
            Run(10.0),
            NothingDropped("white", within_s=10.0),
            OnTier("white", FITTING[kbps]),
            Hears("white", TALKERS, within_s=2.0),
        ),
        seeds=1,
    )


LINE_SPEEDS = tuple(_line_speed(kbps) for kbps in FITTING)

# All of them in one room, and somebody on a good line, who is told of none of it. When the lines
# open, everybody is back within 30 s.
ALL_LINES = Scenario(
    "line_speeds_together",
    (
        *talkers(),
        on_line("wide", 100_000),
        *(on_line(f"line-{kbps}", kbps) for kbps in FITTING),
        Run(CONNECTS_S + SETTLES_S),
        *(OnTier(f"line-{kbps}", tiers) for kbps, tiers in FITTING.items()),
        Run(6.0),
        *(NothingDropped(f"line-{kbps}", within_s=6.0) for kbps in FITTING),
        *(Link(f"line-{kbps}", WIDE, "down") for kbps in FITTING),
        Run(30.0),
        *(
            step
            for kbps in FITTING
            for step in (
                OnTier(f"line-{kbps}", FULL),
                Hears(f"line-{kbps}", TALKERS, within_s=1.0),
                GapBelow(f"line-{kbps}", gap_s=0.25, within_s=30.0),
            )
        ),
        OnTier("wide", FULL),
        ChangesAtMost("wide", 0, within_s=42.0),
        Decodes("wide", concealed_max=0.0, within_s=40.0),
    ),
    seeds=2,
)

# A shaper's bucket lets a short probe through, however narrow the line behind it.
BUCKETS = Scenario(
    "lines_with_buckets",
    (
        *talkers(),
        *(
            Join(
                f"line-{kbps}",
                Role.LISTENER,
                shape=BROWSER,
                down=narrow(kbps * 1_000, bucket_bytes=1_600),
                family="ipv4",
            )
            for kbps in FITTING
        ),
        Run(CONNECTS_S + SETTLES_S),
        *(OnTier(f"line-{kbps}", tiers) for kbps, tiers in FITTING.items()),
        Run(30.0),
        *(NothingDropped(f"line-{kbps}", within_s=30.0) for kbps in FITTING),
        *(OnTier(f"line-{kbps}", tiers) for kbps, tiers in FITTING.items()),
    ),
    seeds=2,
)

# By receiver reports alone it takes longer, and whether there is room for more is found out only by
# sending more.
NARROW_BY_REPORTS = Scenario(
    "narrow_by_reports",
    (
        *talkers(),
        on_line("white", 80, REPORTS_ONLY),
        on_line("grey", 28, REPORTS_ONLY),
        Run(30.0),
        OnTier("white", ("B1", "B2", "B3")),
        OnTier("grey", ("B3", "B4", "B5")),
        Run(60.0),
        OnTier("white", ("A2", "B1", "B2")),
        OnTier("grey", ("B2", "B3", "B4", "B5")),
        *(ChangesAtMost(name, 6, within_s=60.0) for name in ("white", "grey")),
        # Each try takes two reports, and the line drops what is too much for so long.
        *(Decodes(name, concealed_max=0.2, within_s=60.0) for name in ("white", "grey")),
    ),
    seeds=1,
)

FLAPS_S = 15.0
FLAPPING = Scenario(
    "flapping",
    (
        *talkers(),
        on_line("white", 400),
        Run(10.0),
        *(
            step
            for _ in range(3)
            for kbps in (30, 400)
            for step in (Link("white", narrow(kbps * 1_000), "down"), Run(FLAPS_S))
        ),
        ChangesAtMost("white", 9, within_s=90.0),
        Hears("white", TALKERS, within_s=2.0),
    ),
    seeds=1,
)

# Everybody hears the gaps, nobody's own line has any.
LOSSY_UPLINK = Scenario(
    "one_lossy_uplink",
    (
        *talkers(),
        Join("white", Role.LISTENER, shape=BROWSER),
        Join("grey", Role.LISTENER, shape=REPORTS_ONLY),
        on_line("black", 45),
        Run(10.0),
        OnTier("black", FITTING[45]),
        Link("red", Conditions(latency_s=0.03, loss=0.1), "up"),
        Run(40.0),
        *(ChangesAtMost(name, 0, within_s=40.0) for name in ("white", "grey", "black")),
        OnTier("white", ("A1",)),
        OnTier("grey", ("A1",)),
    ),
    seeds=1,
)

# As long as a client may go on without an answer (RFC 7675 5.1) and one that it just missed.
OUTAGE_S = 28.0
OUTAGE = Scenario(
    "outage",
    (
        *talkers(),
        Join(
            "white",
            Role.LISTENER,
            shape=ClientShape(
                sends=False, lines=4, red=True, transport_cc=True, consent_s=(1.0, 1.5)
            ),
        ),
        Run(10.0),
        OnTier("white", FULL),
        Blackhole("white", "down"),
        Run(OUTAGE_S),
        Heal("white"),
        Run(15.0),
        Connected(("white",)),
        OnTier("white", FULL),
        Hears("white", TALKERS, within_s=0.3),
    ),
    seeds=2,
)

# Nothing waits, so less would be lost as well: copies are what helps.
RANDOM_LOSS = Scenario(
    "random_loss_on_a_wide_line",
    (
        *talkers(),
        Join("white", Role.LISTENER, shape=BROWSER, down=Conditions(latency_s=0.04, loss=0.1)),
        Run(13.0),
        *(Run(10.0), OnTier("white", ("A0",))) * 3,
        Decodes("white", concealed_max=0.025, within_s=25.0, recovered_min=0.06),
    ),
    seeds=2,
)

MICROPHONE = ClientShape(
    lines=4,
    red=True,
    transport_cc=True,
    voice=Voice(pause_s=(0.0, 0.0)),
    jitter_buffer_s=0.5,
    report_s=(4.0, 6.0),
)
# On a line that carries a mix only: with its own voice left out while it is on stage.
STAGE_ON_A_NARROW_LINE = Scenario(
    "stage_on_a_narrow_line",
    (
        *talkers("main", "red", "blue"),
        Join("white", Role.LISTENER, shape=MICROPHONE, down=narrow(45_000), family="ipv4"),
        Join("grey", Role.LISTENER, shape=BROWSER),
        Run(CONNECTS_S + SETTLES_S),
        OnTier("white", FITTING[45]),
        *(
            step
            for _ in range(2)
            for step in (
                SetRole("white", Role.SPEAKER),
                Talk("white"),
                Run(3.0),
                Hears("grey", ("red", "blue", "white"), within_s=0.3),
                Hears("white", ("red", "blue"), within_s=1.0, only=True),
                SetRole("white", Role.LISTENER),
                Run(3.0),
                Hears("white", ("red", "blue"), within_s=1.0, only=True),
            )
        ),
        OnTier("white", FITTING[45]),
        GapBelow("white", gap_s=0.3, within_s=12.0),
    ),
    seeds=2,
)

# What is known of a line goes along: no other room finds it out again by filling it.
MOVES_ON_A_NARROW_LINE = Scenario(
    "moves_on_a_narrow_line",
    (
        *talkers(),
        *talkers("side", "gold", "black", "pink"),
        on_line("white", 45),
        Run(CONNECTS_S + SETTLES_S + 3.0),
        OnTier("white", FITTING[45]),
        *(
            step
            for room, names in (("side", ("gold", "black", "pink")), ("main", TALKERS))
            for step in (
                Move("white", room),
                Run(6.0),
                OnTier("white", FITTING[45]),
                NothingDropped("white", within_s=6.0),
                Hears("white", names, within_s=1.0, only=True),
                GapBelow("white", gap_s=0.4, within_s=6.0),
            )
        ),
    ),
    seeds=2,
)

CAPPED = Scenario(
    "capped_by_the_receiver",
    (
        *talkers(),
        Join(
            "white",
            Role.LISTENER,
            shape=ClientShape(sends=False, lines=4, remb_bps=50_000, report_s=(0.8, 1.2)),
            family="ipv4",
        ),
        Run(15.0),
        OnTier("white", ("B2",)),
    ),
    seeds=1,
)

SCENARIOS = (
    *LINE_SPEEDS,
    ALL_LINES,
    BUCKETS,
    NARROW_BY_REPORTS,
    FLAPPING,
    LOSSY_UPLINK,
    OUTAGE,
    RANDOM_LOSS,
    STAGE_ON_A_NARROW_LINE,
    MOVES_ON_A_NARROW_LINE,
    CAPPED,
)
