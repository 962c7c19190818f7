"""Panels: is all well, who is here, who comes and goes."""

from __future__ import annotations

from control.types import LeaveReason
from deploy.grafana.dashboard import Panel, Query
from deploy.grafana.queries import HERE, LOOP, each, now, quantile, quantiles_now, rate

OVERVIEW = [
    Panel(
        "Daemons",
        "Those that answer, and those of them that take nobody new.",
        "none",
        [Query('sum(up{job="rostrum"})', "up"), Query(now("rostrum_draining"), "draining")],
        "stat",
        3,
    ),
    Panel("Rooms", "", "none", [Query(now("rostrum_rooms"))], "stat", 3),
    Panel("Participants", "", "none", [Query(now("rostrum_participants"))], "stat", 3),
    Panel(
        "Alerts",
        "Those that fire now; causes and cures are in RUNBOOK.md.",
        "none",
        [Query('count(ALERTS{alertname=~"Rostrum.*", alertstate="firing"}) or vector(0)')],
        "stat",
        3,
        alarm=1,
    ),
    Panel(
        "Busiest loop",
        "Share of a core. Newcomers are refused from limits.max_load on.",
        "percentunit",
        [Query(f"max({LOOP})")],
        "stat",
        3,
        alarm=0.75,
    ),
    Panel(
        "Lost before it was read",
        "Datagrams that the kernel dropped: the socket's buffer was full.",
        "pps",
        [Query(rate("rostrum_udp_kernel_drops"))],
        "stat",
        3,
        alarm=0.01,
    ),
    Panel(
        "Breaches and bugs",
        "In the last hour. Each is an error of this software: report it.",
        "none",
        [
            Query(
                f"sum(increase(rostrum_invariant_breaches_total{{{HERE}}}[1h])) + "
                f"sum(increase(rostrum_bugs_total{{{HERE}}}[1h])) + "
                f"sum(increase(rostrum_control_bugs_total{{{HERE}}}[1h]))"
            )
        ],
        "stat",
        3,
        alarm=0.01,
    ),
    Panel(
        "Up for",
        "The one that started last.",
        "s",
        [Query(f"min(time() - rostrum_process_start_time_seconds{{{HERE}}})")],
        "stat",
        3,
    ),
]

PEOPLE = [
    Panel(
        "Participants by role",
        "",
        "none",
        [Query(now("rostrum_participants", "role"), "{{role}}")],
        is_stacked=True,
    ),
    Panel(
        "Rooms",
        "All; those that somebody hears mixed; those whose packets leave together by tick.",
        "none",
        [
            Query(now("rostrum_rooms"), "all"),
            Query(now("rostrum_rooms_mixed"), "mixed"),
            Query(now("rostrum_rooms_segmented"), "segmented"),
        ],
    ),
    Panel(
        "Listeners by tier",
        "A: the voices themselves, B: their mix, C: no sound. Paused was asked for.",
        "none",
        [Query(now("rostrum_listeners", "tier"), "{{tier}}")],
        is_stacked=True,
    ),
]

CONNECTIONS = [
    Panel(
        "Joins",
        "",
        "cps",
        [
            Query(rate("rostrum_joins"), "joins"),
            Query(rate("rostrum_offers_refused"), "offers that cannot be answered"),
            Query(rate("rostrum_ice_restarts"), "ICE restarts"),
        ],
    ),
    Panel(
        "Turned away, by limit",
        "The limits of the configuration.",
        "cps",
        [Query(rate("rostrum_refused", "limit"), "{{limit}}")],
    ),
    Panel("Leaves, by reason", "", "cps", each("rostrum_left", LeaveReason)),
    Panel(
        "How far joins come",
        "Checked, encrypted, heard, served. Listeners send nothing, so they are never heard.",
        "cps",
        [
            Query(rate("rostrum_joins"), "joined"),
            Query(
                f"sum by (stage) (rate(rostrum_join_seconds_count{{{HERE}}}[$__rate_interval]))",
                "{{stage}}",
            ),
        ],
    ),
    Panel(
        "How long joins take",
        "p90. Checks and handshake since the join, first packets since the handshake.",
        "s",
        [Query(quantile(0.9, "rostrum_join_seconds", "le, stage"), "{{stage}}")],
    ),
    Panel("People in a room", "", "none", quantiles_now("rostrum_room_people")),
]
