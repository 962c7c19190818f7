"""Listeners who choose: some never, some always, few, or nothing for a while; and echo groups."""

from __future__ import annotations

from control.types import Role
from tests.sim.expectations import Hears
from tests.sim.listening import Ask, Line
from tests.sim.moving import Move
from tests.sim.network import Conditions
from tests.sim.scenario import Hush, Join, Link, Mute, Run, Scenario, SetRole, Talk, Unmute
from tests.sim.scenarios.networks import SCRAMBLED, WIFI
from tests.sim.scenarios.speaking import LOUD, STEADY, listener
from tests.sim.shape import ClientShape

ONE_LINE = ClientShape(sends=False, lines=1)
TWO_LINES = ClientShape(sends=False, lines=2)

NEVER = Scenario(
    "never",
    (
        *(Join(name, shape=STEADY) for name in ("red", "blue", "green")),
        Join("gold", Role.MODERATOR, shape=LOUD),
        listener("white"),
        Join("grey", Role.LISTENER, shape=TWO_LINES),
        Join("black", Role.LISTENER, shape=ONE_LINE),
        Run(1.0),
        *(Ask(name, never=("gold",)) for name in ("white", "grey", "black", "red")),
        *(Talk(name) for name in ("red", "blue", "green")),
        Run(2.0),
        Hears("white", ("red", "blue", "green"), only=True, within_s=0.2),
        # It takes a slot from somebody, who may get it back by waiting.
        Talk("gold"),
        Run(4.0),
        Hears("blue", ("gold",), within_s=0.2),
        *(
            step
            for seconds in (0.03, 0.21, 0.4)
            for step in (Mute("gold"), Run(seconds), Unmute("gold"), Run(0.5))
        ),
        Ask("grey", never=("gold", "red")),
        Run(2.0),
        Ask("white", never=()),
        Run(0.5),
        Hears("white", ("gold",), within_s=0.2),
        Hush("gold"),
        Run(1.0),
        Hears("white", ("red", "blue", "green"), within_s=0.2),
    ),
    seeds=5,
)

ALWAYS_AND_FEW = Scenario(
    "always_and_few",
    (
        *(Join(name, shape=STEADY) for name in ("red", "blue", "green")),
        listener("white"),
        Join("grey", Role.LISTENER, shape=TWO_LINES),
        Join("black", Role.LISTENER, shape=ONE_LINE),
        Run(1.0),
        *(Talk(name) for name in ("red", "blue", "green")),
        Run(1.0),
        Ask("white", slots=1),
        # One by one there is one voice on one m-line.
        Ask("black", mode="forward"),
        *(Ask(name, always=("green",)) for name in ("white", "grey", "black")),
        Run(1.0),
        Hears("white", ("green",), only=True, within_s=0.8),
        Hears("black", ("green",), only=True, within_s=0.8),
        Hears("grey", ("green",), within_s=0.2),
        Hush("green"),
        Run(4.0),
        Mute("green"),
        Run(1.0),
        Unmute("green"),
        Talk("green"),
        Run(0.2),
        Hears("white", ("green",), within_s=0.1),
        Ask("white", slots=6, always=()),
        Run(0.5),
        Hears("white", ("red", "blue", "green"), only=True, within_s=0.3),
    ),
    seeds=5,
)

PAUSES = Scenario(
    "pauses",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        *(
            step
            for seconds in (0.05, 0.5, 3.0, 30.0)
            for step in (
                Run(0.5),
                Hears("white", ("red", "blue"), only=True, within_s=0.3),
                Ask("white", paused=True),
                Run(seconds),
                Ask("white", paused=False),
            )
        ),
        Ask("white", paused=True),
        Run(60.0),
        Hears("white", (), only=True, within_s=59.0),
        # It is there all the time; a pause does not outlive its place.
        Move("white", "side"),
        Move("red", "side"),
        Run(0.5),
        Hears("white", ("red",), only=True, within_s=0.3),
    ),
    seeds=4,
)

TABLE = Scenario(
    "echo_group",
    (
        Join("red", shape=STEADY, echo_group="table"),
        Join("blue", shape=STEADY, echo_group="table"),
        Join("green", shape=STEADY),
        listener("white"),
        Run(1.0),
        *(Talk(name) for name in ("red", "blue", "green")),
        Run(1.0),
        Hears("red", ("green",), only=True, within_s=0.8),
        *(
            step
            for role in (Role.LISTENER, Role.MODERATOR, Role.LISTENER, Role.SPEAKER)
            for step in (
                SetRole("red", role),
                Run(0.6),
                Hears("red", ("green",), only=True, within_s=0.4),
                Hears("blue", ("green",), only=True, within_s=0.4),
            )
        ),
        # Replaced while it talks, from the same table and from another.
        Join("red", shape=STEADY, echo_group="table"),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        Hears("red", ("green",), only=True, within_s=0.8),
        Join("green", shape=STEADY),
        Run(1.0),
        Talk("green"),
        Run(1.0),
        Hears("green", ("red", "blue"), only=True, within_s=0.8),
        Join("blue", shape=STEADY),
        Run(1.0),
        Talk("blue"),
        Run(1.0),
        Hears("blue", ("red", "green"), only=True, within_s=0.8),
        Hears("red", ("blue", "green"), only=True, within_s=0.8),
        Move("red", "side"),
        Move("blue", "side"),
        Run(1.0),
        Hears("red", ("blue",), only=True, within_s=0.8),
        Ask("red", always=("red",)),
        Run(0.5),
        Hears("red", ("blue",), only=True, within_s=0.3),
    ),
    seeds=5,
)

CHOICES_ON_BAD_NETWORKS = Scenario(
    "choices_on_bad_networks",
    (
        *(Join(name, shape=STEADY) for name in ("red", "blue", "green")),
        listener("white"),
        Join("grey", Role.LISTENER, shape=TWO_LINES),
        Run(1.0),
        Link("red", SCRAMBLED),
        Link("blue", WIFI),
        Link("white", WIFI),
        Link("grey", SCRAMBLED),
        *(Talk(name) for name in ("red", "blue", "green")),
        *(
            step
            for name in ("red", "blue", "green")
            for step in (
                Ask("white", never=(name,)),
                Ask("grey", never=(name,), always=("green",)),
                Run(1.3),
                Ask("white", paused=True),
                Run(0.17),
                Ask("white", paused=False),
                Run(0.6),
            )
        ),
        Ask("white", never=()),
        Run(1.0),
    ),
    seeds=5,
)

LINES = Scenario(
    "lines",
    (
        Join("red", shape=STEADY),
        listener("white", down=Conditions(latency_s=0.02)),
        listener("grey", down=Conditions(latency_s=0.1, loss=0.2)),
        Run(1.0),
        Talk("red"),
        Run(20.0),
        Line("white", loss=(0.0, 0.0), rtt_ms=(35.0, 60.0)),
        Line("grey", loss=(0.08, 0.4), rtt_ms=(110.0, 140.0)),
    ),
    seeds=8,
)

SCENARIOS = (NEVER, ALWAYS_AND_FEW, PAUSES, TABLE, CHOICES_ON_BAD_NETWORKS, LINES)
