"""Panels: backends and the process itself."""

from __future__ import annotations

from control.errors import ErrorCode
from deploy.grafana.dashboard import Panel, Query
from deploy.grafana.queries import HERE, LOOP, each, now, quantiles, rate

CONTROL = [
    Panel(
        "Commands and events",
        "",
        "cps",
        [
            Query(rate("rostrum_control_requests"), "commands"),
            Query(rate("rostrum_control_events"), "events"),
            Query(rate("rostrum_control_events_sent"), "events sent"),
            Query(rate("rostrum_control_events_replayed"), "events told again"),
        ],
    ),
    Panel(
        "Commands that were refused, by code",
        "`internal` is an error here, `deadline_exceeded` a daemon that is too busy.",
        "cps",
        each("rostrum_control_errors", ErrorCode),
    ),
    Panel(
        "Backends",
        "",
        "none",
        [
            Query(now("rostrum_control_connections_open"), "connected"),
            Query(now("rostrum_control_unauthenticated_open"), "not yet known"),
        ],
    ),
    Panel(
        "Trouble with backends",
        "Wrong keys, locked out, refused, cut off because they did not read.",
        "cps",
        each(
            "rostrum_control",
            (
                "wrong_macs",
                "lockouts",
                "connections_refused",
                "handshakes_failed",
                "protocol_errors",
                "cutoffs",
            ),
        ),
    ),
]

PROCESS = [
    Panel(
        "Lateness of the loop",
        "Of a timer, ten times a second. What is above 20 ms is heard as delay.",
        "s",
        quantiles("rostrum_loop_lag_seconds"),
    ),
    Panel(
        "Processor",
        "Of a core: the whole process, and the loop alone.",
        "percentunit",
        [
            Query(
                f"rate(rostrum_process_cpu_seconds_total{{{HERE}}}[$__rate_interval])",
                "{{instance}} all",
            ),
            Query(LOOP, "{{instance}} loop"),
        ],
    ),
    Panel(
        "Time in garbage collection",
        "Nothing is forwarded meanwhile.",
        "percentunit",
        [
            Query(
                f"rate(rostrum_gc_pause_seconds_sum{{{HERE}}}[$__rate_interval])",
                "{{instance}}",
            )
        ],
    ),
    Panel(
        "Memory",
        "Resident.",
        "bytes",
        [Query(f"rostrum_process_resident_memory_bytes{{{HERE}}}", "{{instance}}")],
    ),
    Panel(
        "Files and tasks",
        "",
        "none",
        [
            Query(f"rostrum_process_open_fds{{{HERE}}}", "{{instance}} files"),
            Query(f"rostrum_loop_tasks{{{HERE}}}", "{{instance}} tasks"),
        ],
    ),
    Panel(
        "Tables",
        "What the compiled core holds.",
        "none",
        [
            Query(now(f"rostrum_{name}"), name)
            for name in ("transports", "addresses", "sources", "slots", "streams", "egresses")
        ],
    ),
    Panel(
        "Certificates",
        "How long they are still good for.",
        "s",
        [
            Query(
                f"min by (certificate) (rostrum_certificate_not_after_seconds{{{HERE}}}) - time()",
                "{{certificate}}",
            )
        ],
    ),
]
