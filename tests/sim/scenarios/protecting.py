"""Whose line loses packets is sent copies of them, and nobody else is."""

from __future__ import annotations

from control.types import Role
from tests.sim.decoding import Decodes
from tests.sim.moving import Move
from tests.sim.network import Bursts, Conditions
from tests.sim.protecting import Protected
from tests.sim.scenario import Join, Link, Run, Scenario, Step, Talk
from tests.sim.scenarios.speaking import STEADY
from tests.sim.shape import ClientShape

# As browsers report: every 5 s, spread.
REPORT_S = (4.0, 6.0)
# By then two reports on what is heard have come.
TWO_REPORTS_S = 2 * REPORT_S[1] + 0.3
SMOOTHED_S = 30.0
READS_RED = ClientShape(sends=False, red=True, report_s=REPORT_S)
# Who offers nothing is given means at random; this one has but one, and it is not RED.
PLAIN = ClientShape(sends=False, xr=True, report_s=REPORT_S)
REPAIRS = ClientShape(sends=False, red=True, nack=True, jitter_buffer_s=0.25, report_s=REPORT_S)
CLEAN = Conditions(latency_s=0.04)
TENTH = Conditions(latency_s=0.04, loss=0.1)
FIFTH = Conditions(latency_s=0.04, loss=0.2)
COLLAPSED = Conditions(latency_s=0.04, loss=0.8)
# A second away now and then, and half a second in between.
TRAIN = Conditions(latency_s=0.15, bursts=Bursts(enter=0.01, leave=0.03))


def _room(*listeners: tuple[str, ClientShape, Conditions]) -> tuple[Step, ...]:
    """Somebody who talks on and on, and these listeners."""
    joins = (Join(name, Role.LISTENER, shape=shape, down=down) for name, shape, down in listeners)
    return (Join("red", shape=STEADY), *joins, Run(1.5), Talk("red"))


def _throughout(steps: tuple[Step, ...], seconds: int, *checks: Step) -> tuple[Step, ...]:
    """`steps`, then these checks every five seconds."""
    return (*steps, Run(TWO_REPORTS_S), *(Run(5.0), *checks) * (seconds // 5))


PROTECTED_LINE = Scenario(
    "protected_line",
    (
        *_room(
            ("white", READS_RED, TENTH),
            ("grey", READS_RED, CLEAN),
            ("black", PLAIN, TENTH),
        ),
        Run(TWO_REPORTS_S),
        Protected("white", copies=(1, 2), loss=(0.03, 0.25)),
        Protected("grey", copies=(0,), loss=(0.0, 0.0)),
        Protected("black", copies=(0,), loss=(0.03, 0.25)),
        # One copy leaves p^2: 5,000 packets decide within three standard deviations.
        Run(101.0),
        Decodes("white", concealed_max=0.015, within_s=100.0, recovered_min=0.07),
        Decodes("grey", concealed_max=0.0, within_s=100.0),
        Protected("white", copies=(1, 2), loss=(0.04, 0.18)),
        Protected("grey", copies=(0,), loss=(0.0, 0.0)),
    ),
    seeds=4,
)

# A fifth of what is said never comes to the server; every listener reports that.
LOSSY_UPLINK = Scenario(
    "lossy_uplink",
    _throughout(
        (
            *_room(("white", READS_RED, CLEAN), ("grey", READS_RED, TENTH)),
            Link("red", FIFTH, "up"),
        ),
        50,
        Protected("white", copies=(0,), loss=(0.0, 0.0)),
        Protected("grey", copies=(1, 2), loss=(0.03, 0.25)),
    ),
    seeds=8,
)

# Gaps of a second; reports that were under way when one began know nothing of it yet.
TRAIN_UPLINK = Scenario(
    "train_uplink",
    _throughout(
        (
            *_room(("white", READS_RED, Conditions(latency_s=0.15))),
            Link("white", Conditions(latency_s=0.15), "up"),
            Link("red", TRAIN, "up"),
        ),
        60,
        Protected("white", copies=(0,), loss=(0.0, 0.0)),
    ),
    seeds=8,
)

CALM_AGAIN = Scenario(
    "calm_again",
    (
        *_room(("white", READS_RED, FIFTH)),
        Run(SMOOTHED_S),
        Protected("white", copies=(2,), loss=(0.12, 0.3)),
        Link("white", CLEAN, "down"),
        Run(20.0),
        Protected("white", copies=(2,)),
        # Half a minute for each copy, from when the smoothed loss is below the threshold.
        Run(100.0),
        Protected("white", copies=(0,), loss=(0.0, 0.01)),
    ),
    seeds=4,
)

COLLAPSED_LINE = Scenario(
    "collapsed_line",
    (
        *_room(("white", READS_RED, FIFTH)),
        Run(SMOOTHED_S),
        Protected("white", copies=(2,), loss=(0.12, 0.3)),
        Link("white", COLLAPSED, "down"),
        Run(SMOOTHED_S),
        Protected("white", copies=(0,), loss=(0.6, 1.0)),
    ),
    seeds=4,
)

PROTECTED_MOVES = Scenario(
    "protected_moves",
    (
        *_room(("white", READS_RED, TENTH)),
        Join("blue", room="other", shape=STEADY),
        Run(1.0),
        Talk("blue"),
        Run(SMOOTHED_S),
        Protected("white", copies=(1, 2)),
        Move("white", "other"),
        Run(0.5),
        Protected("white", copies=(1, 2), loss=(0.03, 0.25)),
        Run(SMOOTHED_S),
        Protected("white", copies=(1, 2), loss=(0.03, 0.25)),
    ),
    seeds=4,
)

# What is sent again is lost like the rest, and does not hide what the line is like.
REPAIRED_LINE = Scenario(
    "repaired_line",
    (
        *_room(("white", REPAIRS, TENTH), ("grey", REPAIRS, CLEAN)),
        Run(SMOOTHED_S),
        Protected("white", copies=(1, 2), loss=(0.04, 0.2)),
        Protected("grey", copies=(0,), loss=(0.0, 0.0)),
    ),
    seeds=4,
)

SCENARIOS = (
    PROTECTED_LINE,
    LOSSY_UPLINK,
    TRAIN_UPLINK,
    CALM_AGAIN,
    COLLAPSED_LINE,
    PROTECTED_MOVES,
    REPAIRED_LINE,
)
