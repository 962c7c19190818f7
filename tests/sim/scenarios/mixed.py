"""Listeners who hear everybody in one: by their m-lines, by their choice, by what they may cost."""

from __future__ import annotations

from control.types import Role
from tests.sim.expectations import GapBelow, Hears
from tests.sim.listening import Ask
from tests.sim.moving import Move
from tests.sim.scenario import (
    CloseMicrophone,
    Hush,
    Join,
    Leave,
    Mute,
    Run,
    Scenario,
    SetRole,
    Talk,
    Unmute,
)
from tests.sim.scenarios.narrow import BROWSER, TALKERS, talkers
from tests.sim.scenarios.speaking import STEADY
from tests.sim.shape import ClientShape
from tests.sim.tiers import HearsMix, OnTier

ONE_LINE = ClientShape(sends=False, lines=1)
TWO_LINES = ClientShape(sends=False, lines=2)

SINGLE_LINE = Scenario(
    "single_line",
    (
        *talkers(),
        Join("white", Role.LISTENER, shape=ONE_LINE),
        Run(1.5),
        OnTier("white", ("B1",)),
        HearsMix("white", TALKERS, within_s=0.5),
        GapBelow("white", gap_s=0.06, within_s=0.8),
        # One by one there is one voice on one m-line.
        Ask("white", mode="forward"),
        Run(1.0),
        OnTier("white", ("A1",)),
        GapBelow("white", gap_s=0.25, within_s=1.0),
        Ask("white", mode="auto"),
        Run(2.0),
        OnTier("white", ("B1",)),
        GapBelow("white", gap_s=0.25, within_s=2.0),
        Hears("white", TALKERS, within_s=0.5),
        Mute("red"),
        Run(1.5),
        Hears("white", ("blue", "green"), only=True, within_s=0.5),
        Unmute("red"),
        Leave("blue"),
        Run(1.5),
        Hears("white", ("red", "green"), only=True, within_s=0.5),
        SetRole("green", Role.LISTENER),
        Run(1.5),
        Hears("white", ("red",), only=True, within_s=0.5),
    ),
    seeds=3,
)

BY_CHOICE = Scenario(
    "mode_and_rate_by_choice",
    (
        *talkers(),
        Join("white", Role.LISTENER, shape=BROWSER),
        Join("grey", Role.LISTENER, shape=TWO_LINES),
        Run(1.0),
        *(OnTier(name, ("A1",)) for name in ("white", "grey")),
        *(
            step
            for name in ("white", "grey")
            for step in (
                Ask(name, mode="mix"),
                Run(2.0),
                OnTier(name, ("B1",), causes=("requested",)),
                HearsMix(name, TALKERS, within_s=0.5),
                GapBelow(name, gap_s=0.25, within_s=2.0),
                Ask(name, mode="mix", max_kbps=45),
                Run(1.0),
                OnTier(name, ("B2",), causes=("requested",)),
                Ask(name, max_kbps=14),
                Run(1.0),
                OnTier(name, ("B5",)),
                HearsMix(name, TALKERS, within_s=1.0),
                Ask(name, mode="forward", max_kbps=None),
                Run(1.0),
                OnTier(name, ("A1",)),
                Hears(name, TALKERS if name == "white" else (), within_s=0.3),
                Ask(name, mode="auto", paused=True),
                Run(1.0),
                OnTier(name, ("paused",)),
                Hears(name, (), only=True, within_s=0.4),
                Ask(name, paused=False),
                Run(1.0),
                OnTier(name, ("A1",)),
            )
        ),
    ),
    seeds=2,
)

# Somebody who talks and hears a mix never hears itself, nor who shares its table.
SPEAKERS_ON_MIXES = Scenario(
    "speakers_on_mixes",
    (
        Join("red", shape=ClientShape(lines=1, voice=STEADY.voice)),
        Join("blue", shape=ClientShape(lines=4, voice=STEADY.voice), echo_group="table"),
        Join("green", shape=ClientShape(lines=1, voice=STEADY.voice), echo_group="table"),
        Join("white", Role.LISTENER, shape=ONE_LINE),
        Run(1.0),
        Ask("blue", mode="mix"),
        *(Talk(name) for name in TALKERS),
        Run(1.5),
        Hears("white", TALKERS, within_s=0.3),
        Hears("red", ("blue", "green"), only=True, within_s=1.0),
        Hears("blue", ("red",), only=True, within_s=1.0),
        Hears("green", ("red",), only=True, within_s=1.0),
        *(
            step
            for _ in range(2)
            for step in (
                SetRole("red", Role.LISTENER),
                Run(1.5),
                Hears("red", ("blue", "green"), only=True, within_s=1.0),
                SetRole("red", Role.SPEAKER),
                Run(1.5),
                Hears("red", ("blue", "green"), only=True, within_s=1.0),
                Hears("white", TALKERS, within_s=0.5),
            )
        ),
        Mute("red"),
        Run(0.5),
        Unmute("red"),
        Run(1.0),
        Move("red", "side"),
        Move("white", "side"),
        Run(1.5),
        Hears("white", ("red",), only=True, within_s=0.5),
        Hears("blue", (), only=True, within_s=0.5),
    ),
    seeds=4,
)

# Nobody says anything: nothing is sent but what keeps decoders calm, and the first word is there.
QUIET_MIX = Scenario(
    "quiet_mix",
    (
        Join("red", shape=STEADY),
        Join("white", Role.LISTENER, shape=ONE_LINE),
        Run(1.0),
        Talk("red"),
        Run(3.0),
        CloseMicrophone("red"),
        Run(6.0),
        Hears("white", (), only=True, within_s=3.0),
        Talk("red"),
        Run(0.6),
        HearsMix("white", ("red",), within_s=0.3),
        Hush("red"),
        Run(15.0),
        Talk("red"),
        Run(0.6),
        HearsMix("white", ("red",), within_s=0.3),
    ),
    seeds=2,
)

SCENARIOS = (SINGLE_LINE, BY_CHOICE, SPEAKERS_ON_MIXES, QUIET_MIX)
