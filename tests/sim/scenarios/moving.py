"""Participants who change rooms, and clients that restart ICE."""

from __future__ import annotations

from control.types import Role
from tests.sim.expectations import Connected, GapBelow, Hears
from tests.sim.moving import Move, RestartIce
from tests.sim.network import Conditions
from tests.sim.scenario import (
    Blackhole,
    Heal,
    Join,
    Jump,
    Leave,
    Link,
    Mute,
    Rebind,
    Run,
    Scenario,
    Talk,
    Unmute,
)
from tests.sim.scenarios.networks import SCRAMBLED, WIFI
from tests.sim.scenarios.speaking import STEADY, listener
from tests.sim.shape import ClientShape

MOVE_A_SPEAKER = Scenario(
    "move_a_speaker",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY),
        listener("white"),
        Join("black", Role.LISTENER, room="side", shape=ClientShape(sends=False)),
        Join("green", room="side", shape=STEADY),
        Run(1.0),
        Connected(("red", "blue", "white", "black", "green")),
        Talk("red"),
        Talk("blue"),
        Talk("green"),
        Run(2.0),
        Hears("white", ("red", "blue"), only=True, within_s=1.0),
        Hears("black", ("green",), only=True, within_s=1.0),
        # Its sequence numbers have come round once by the second move.
        Jump("red", 30_000),
        Run(1.0),
        Jump("red", 30_000),
        Run(1.0),
        Move("red", "side"),
        Run(0.2),
        Hears("black", ("green", "red"), within_s=0.15),
        Run(0.6),
        Hears("white", ("blue",), only=True, within_s=0.5),
        Jump("red", 30_000),
        Run(1.0),
        Hears("red", ("green",), only=True, within_s=0.5),
        Move("red", "main", role=Role.MODERATOR),
        Run(0.2),
        Hears("white", ("blue", "red"), within_s=0.15),
        Run(0.6),
        Hears("black", ("green",), only=True, within_s=0.5),
        Move("red", "side", role=Role.LISTENER),
        Run(1.0),
        Hears("black", ("green",), only=True, within_s=0.5),
        Leave("red"),
        Run(1.0),
    ),
    seeds=5,
)

MOVE_LISTENERS = Scenario(
    "move_listeners",
    (
        Join("red", shape=STEADY),
        Join("blue", room="side", shape=STEADY),
        *(
            Join(f"guest{lines}", Role.LISTENER, shape=ClientShape(sends=False, lines=lines))
            for lines in (1, 2, 3, 4)
        ),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Run(1.0),
        *(Move(f"guest{lines}", "side") for lines in (1, 2, 3, 4)),
        Run(0.2),
        *(
            step
            for lines in (1, 2, 3, 4)
            for step in (
                GapBelow(f"guest{lines}", gap_s=0.2, within_s=0.9),
                Hears(f"guest{lines}", ("blue",), only=True, within_s=0.1),
            )
        ),
        *(Move(f"guest{lines}", "main") for lines in (1, 2, 3, 4)),
        Run(1.0),
        *(Hears(f"guest{lines}", ("red",), only=True, within_s=0.8) for lines in (1, 2, 3, 4)),
        Move("blue", "main"),
        *(Move(f"guest{lines}", "third") for lines in (3, 4)),
        Run(1.0),
        Hears("guest3", (), only=True, within_s=0.8),
        Hears("red", ("blue",), only=True, within_s=0.8),
        Move("red", "third"),
        Run(1.0),
        Hears("guest3", ("red",), only=True, within_s=0.8),
    ),
    seeds=5,
)

MOVE_ECHO_GROUPS = Scenario(
    "move_echo_groups",
    (
        Join("red", shape=STEADY, echo_group="table"),
        Join("blue", shape=STEADY, echo_group="table"),
        Join("green", shape=STEADY, echo_group="table", room="side"),
        Join("white", shape=STEADY, room="side"),
        Run(1.0),
        Talk("red"),
        Talk("blue"),
        Talk("green"),
        Talk("white"),
        Run(1.0),
        Hears("red", (), only=True, within_s=0.5),
        Move("red", "side"),
        Run(1.0),
        Hears("red", ("white",), only=True, within_s=0.5),
        Hears("green", ("white",), only=True, within_s=0.5),
        Hears("white", ("green", "red"), only=True, within_s=0.5),
        Move("white", "main"),
        Run(1.0),
        Hears("white", ("blue",), only=True, within_s=0.5),
        Hears("red", (), only=True, within_s=0.5),
    ),
)

MOVE_WHILE_UNSETTLED = Scenario(
    "move_while_unsettled",
    (
        # Before its first check, in the middle of its handshake, muted, and while it is missing.
        Join("red", shape=STEADY),
        Move("red", "side"),
        Join("blue", shape=STEADY),
        Run(0.05),
        Move("blue", "side"),
        listener("white"),
        Move("white", "side"),
        Join("green", shape=STEADY),
        Run(1.5),
        Connected(("red", "blue", "white", "green")),
        Talk("red"),
        Talk("blue"),
        Talk("green"),
        Mute("green"),
        Run(1.0),
        Hears("white", ("red", "blue"), only=True, within_s=0.5),
        Move("green", "side"),
        Run(0.5),
        Hears("white", ("red", "blue"), only=True, within_s=0.4),
        Unmute("green"),
        Run(0.5),
        Hears("white", ("red", "blue", "green"), within_s=0.4),
        Blackhole("blue"),
        Run(7.0),
        Move("blue", "main"),
        Move("white", "main"),
        Heal("blue"),
        Run(3.0),
        Hears("white", ("blue",), only=True, within_s=0.4),
    ),
    seeds=5,
)

MOVES_ON_BAD_NETWORKS = Scenario(
    "moves_on_bad_networks",
    (
        Join("red", shape=STEADY),
        Join("blue", shape=STEADY, room="side"),
        listener("white"),
        Join("black", Role.LISTENER, room="side", shape=ClientShape(sends=False)),
        Run(1.0),
        Link("red", SCRAMBLED),
        Link("blue", WIFI),
        Link("white", WIFI),
        Talk("red"),
        Talk("blue"),
        *(
            step
            for _ in range(4)
            for step in (
                Run(0.7),
                Move("red", "side"),
                Move("white", "side"),
                Run(0.31),
                Move("red", "main"),
                Run(0.4),
                Move("white", "main"),
            )
        ),
        Link("red", Conditions()),
        Link("white", Conditions()),
        Run(2.0),
        Hears("white", ("red",), within_s=0.5),
    ),
    seeds=5,
)

RESTART = Scenario(
    "restart",
    (
        Join("red", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Run(1.0),
        # The network changes and the client restarts: neither is missed for long.
        RestartIce("red", elsewhere=True),
        Run(0.5),
        GapBelow("white", gap_s=0.3, within_s=1.0),
        RestartIce("white", elsewhere=True),
        Run(0.5),
        GapBelow("white", gap_s=0.3, within_s=1.0),
        # Nothing is lost while the old path is as good as the new one.
        RestartIce("white"),
        RestartIce("red"),
        Run(1.0),
        GapBelow("white", gap_s=0.06, within_s=0.9),
        # An answer that never comes leaves what there is.
        RestartIce("red", lost=True),
        RestartIce("white", lost=True),
        Run(12.0),
        GapBelow("white", gap_s=0.06, within_s=11.0),
        RestartIce("red", lost=True),
        RestartIce("red"),
        Rebind("red", aware=True),
        Run(1.0),
        GapBelow("white", gap_s=0.3, within_s=0.9),
        Connected(("red", "white")),
    ),
)

RESTART_WHILE_MISSING = Scenario(
    "restart_while_missing",
    (
        Join("red", shape=STEADY),
        listener("white"),
        Run(1.0),
        Talk("red"),
        Blackhole("white"),
        Blackhole("red"),
        Run(8.0),
        Heal("red"),
        RestartIce("red", elsewhere=True),
        Run(6.0),
        Heal("white"),
        RestartIce("white", elsewhere=True),
        Run(1.0),
        Hears("white", ("red",), within_s=0.8),
        Connected(("red", "white")),
        Move("red", "side"),
        RestartIce("red", elsewhere=True),
        Move("white", "side"),
        Run(1.0),
        Hears("white", ("red",), within_s=0.5),
    ),
)

RESTART_BEFORE_CONNECTED = Scenario(
    "restart_before_connected",
    (
        # Before the first check, between checks and keys, and by an answer that comes too late.
        Join("red", shape=STEADY),
        RestartIce("red"),
        Join("blue", shape=STEADY),
        Run(0.05),
        RestartIce("blue", elsewhere=True),
        listener("white"),
        Run(0.045),
        RestartIce("white"),
        RestartIce("white"),
        Join("green", shape=STEADY, up=WIFI, down=WIFI),
        RestartIce("green", lost=True),
        Run(0.1),
        RestartIce("green"),
        Run(3.0),
        Connected(("red", "blue", "white")),
        Talk("red"),
        Talk("blue"),
        Run(1.0),
        Hears("white", ("red", "blue"), within_s=0.5),
    ),
)

SCENARIOS = (
    MOVE_A_SPEAKER,
    MOVE_LISTENERS,
    MOVE_ECHO_GROUPS,
    MOVE_WHILE_UNSETTLED,
    MOVES_ON_BAD_NETWORKS,
    RESTART,
    RESTART_WHILE_MISSING,
    RESTART_BEFORE_CONNECTED,
)
