"""Goals and loads of forwarding: packets, delay, joins, rooms, commands. Nothing but data."""

from __future__ import annotations

from bench.goals import FLOOR_FIGURES, Goal, Table, source

_DELAYS = ("delay_p50_ms", "delay_p99_ms", "delay_p999_ms")
MEDIA = (
    "cpu_us_per_packet",
    "server_cpu_percent",
    "packets_per_s",
    "packets_per_s_per_core",
    *_DELAYS,
    "gap_p99_ms",
    "loss_ratio",
    "rss_kib_per_listener",
)
ROOM = "room --speakers 3 --join-rate 200 --duration 15"
# A join costs as much as hundreds of packets: what a core carries is asked without a rush of them.
_FULL_ROOM = "room --speakers 3 --join-rate 60 --duration 15"
_FLAT = ("room-200", "room-800", "room-1200")

FORWARDING = (
    Table(
        "Fan-out beside its floor",
        "CPU of one packet to 1,000 listeners, in the compiled core alone, beside a C program that "
        "encrypts and sends and does nothing else; both in one process, in turns.",
        (source("floor", "fan-out", "micro"),),
        tuple(FLOOR_FIGURES.values()),
        (
            Goal("floor / ours", "floor", "floor / ours", ">=", 0.85),
            Goal("floor / ours, segmented", "floor", "segmented: floor / ours", ">=", 0.75),
        ),
    ),
    Table(
        "One room, more listeners",
        "The whole server under real clients: three speakers who always talk, three slots.",
        tuple(
            source(
                f"room-{count}",
                f"{count} listeners",
                f"{ROOM} --listeners {count} --segmentation off",
            )
            for count in (200, 800, 1_200)
        ),
        MEDIA,
        (
            Goal(
                "CPU per packet, dearest / cheapest",
                "room-200",
                "cpu_us_per_packet",
                "<=",
                1.15,
                flat_over=_FLAT,
            ),
            Goal("memory of a listener, KiB", "room-800", "rss_kib_per_listener", "<=", 96),
        ),
    ),
    Table(
        "The same with segmentation",
        "A listener's packets of a tick leave in one send.",
        (
            source(
                "segmented-800",
                "800 listeners",
                f"{ROOM} --listeners 800 --segmentation on",
            ),
            source(
                "room-2000",
                "2000 listeners, by load",
                f"{_FULL_ROOM} --listeners 2000 --segmentation auto --decrypt-every 4",
            ),
            source(
                "segmented-3600",
                "3600 listeners",
                f"{_FULL_ROOM} --listeners 3600 --segmentation on --decrypt-every 10",
            ),
        ),
        ("join_failures", *MEDIA),
        (
            Goal(
                "2,000 listeners on one core, joins refused", "room-2000", "join_failures", "==", 0
            ),
            Goal("2,000 listeners on one core, lost", "room-2000", "loss_ratio", "==", 0),
            Goal(
                "3,600 listeners on one core, joins refused",
                "segmented-3600",
                "join_failures",
                "==",
                0,
            ),
            Goal("above rated load, lost by those inside", "segmented-3600", "loss_ratio", "==", 0),
        ),
    ),
    Table(
        "Beside Janus",
        "The same clients against both servers in one run. Janus VideoRoom, audio only, with "
        "`event_loops=1`, which serves it best here.",
        (
            source(
                "janus",
                "",
                f"{ROOM} --listeners 300 --target rostrum --target janus --segmentation off",
            ),
        ),
        MEDIA,
        (
            Goal("CPU per packet, times ahead", "janus", "cpu_us_per_packet", ">=", 3, "janus"),
            Goal("memory, times ahead", "janus", "rss_kib_per_listener", ">=", 1, "janus"),
        ),
    ),
    Table(
        "Beside Janus, with segmentation",
        "As above; Janus has no such thing.",
        (
            source(
                "janus-segmented",
                "",
                f"{ROOM} --listeners 300 --target rostrum --target janus --segmentation on",
            ),
        ),
        MEDIA,
        (
            Goal(
                "CPU per packet, times ahead",
                "janus-segmented",
                "cpu_us_per_packet",
                ">=",
                6,
                "janus",
            ),
        ),
    ),
    Table(
        "Joins beside Janus",
        "Newcomers onto a live room.",
        (
            source(
                "janus-joins",
                "",
                "joins --joins 200 --within 10 --listeners 50 --target rostrum --target janus",
            ),
        ),
        ("joins_per_s", "join_p50_ms", "join_p99_ms", "cpu_ms_per_join", "join_failures"),
        (Goal("CPU per join, times ahead", "janus-joins", "cpu_ms_per_join", ">=", 1, "janus"),),
    ),
    Table(
        "Delay by load",
        "What the server adds between a speaker's send and a listener's receive, by how busy its "
        "core is.",
        tuple(
            source(
                f"load-{percent}",
                f"about {percent} %",
                f"{ROOM} --listeners {listeners} --segmentation off",
            )
            for percent, listeners in ((30, 350), (60, 750), (85, 1_050))
        ),
        ("server_cpu_percent", *_DELAYS, "gap_p99_ms", "loss_ratio"),
        (
            Goal("median at about 60 %, ms", "load-60", "delay_p50_ms", "<=", 0.5),
            Goal("p99 at about 60 %, ms", "load-60", "delay_p99_ms", "<=", 5),
            Goal("lost at about 85 %", "load-85", "loss_ratio", "==", 0),
        ),
    ),
    Table(
        "Delay by load, rooms of 50",
        "The same with more rooms instead of a larger one: nobody waits for hundreds of others' "
        "copies of a packet.",
        tuple(
            source(
                f"rooms-load-{percent}",
                f"about {percent} %",
                f"rooms --rooms {rooms} --speakers 3 --listeners 50 --slots 3 --talk always "
                "--join-rate 200 --duration 15 --segmentation off",
            )
            for percent, rooms in ((30, 7), (60, 14), (85, 20))
        ),
        ("server_cpu_percent", *_DELAYS, "gap_p99_ms", "loss_ratio"),
        (
            Goal("median at about 60 %, ms", "rooms-load-60", "delay_p50_ms", "<=", 0.5),
            Goal("p99 at about 60 %, ms", "rooms-load-60", "delay_p99_ms", "<=", 5),
            Goal("lost at about 85 %", "rooms-load-85", "loss_ratio", "==", 0),
        ),
    ),
    Table(
        "A storm of joins",
        "1,000 joins in 10 s onto a live room. Delay, gaps and loss are those of the listeners who "
        "were there before. Segmented from the start: a switch under way would be booked as joins.",
        (
            source(
                "joins",
                "1,000 in 10 s",
                "joins --joins 1000 --within 10 --listeners 200 --segmentation on",
            ),
        ),
        (
            "joins_per_s",
            "join_p50_ms",
            "join_p99_ms",
            "first_audio_p99_ms",
            "cpu_ms_per_join",
            "join_failures",
            "gap_p99_ms",
            "lost",
        ),
        (
            Goal("join, p99, ms", "joins", "join_p99_ms", "<=", 3_000),
            Goal("joins that failed", "joins", "join_failures", "==", 0),
            Goal("CPU of a join, ms", "joins", "cpu_ms_per_join", "<=", 1),
            Goal("extra gap of those inside, p99, ms", "joins", "gap_p99_ms", "<=", 10),
            Goal("packets lost by those inside", "joins", "lost", "==", 0),
        ),
    ),
    Table(
        "Many small rooms",
        "1,000 rooms of two speakers and four listeners, people taking turns.",
        tuple(
            source(
                name,
                f"{rooms:,} rooms",
                f"rooms --rooms {rooms} --speakers 2 --listeners 4 --talk turns --join-rate 120 "
                "--duration 15",
            )
            for name, rooms in (("rooms-300", 300), ("rooms", 1_000))
        ),
        ("join_failures", *MEDIA),
        (Goal("CPU of one core, %", "rooms", "server_cpu_percent", "<=", 80),),
    ),
    Table(
        "Taking turns",
        "Speech with pauses; how soon a change of speaker is heard, and how much of its beginning "
        "is lost.",
        (
            source(
                "turns",
                "100 listeners",
                "room --speakers 6 --listeners 100 --talk turns --duration 20",
            ),
        ),
        ("switch_p50_ms", "switch_p95_ms", "onset_lost_ms", "onset_lost_p95_ms", "turns_missed"),
        (Goal("first syllable lost, p95, ms", "turns", "onset_lost_p95_ms", "<=", 60),),
    ),
    Table(
        "Listeners of a silent room",
        "5,000 listeners, nobody speaks: connectivity checks, reports and timers alone.",
        (
            source(
                "idle",
                "5,000 listeners",
                "room --speakers 0 --listeners 5000 --join-rate 300 --duration 15",
            ),
        ),
        ("server_cpu_percent", "rss_mib", "rss_kib_per_listener"),
        (Goal("CPU of one core, %", "idle", "server_cpu_percent", "<", 10),),
    ),
    Table(
        "Control",
        "Commands as a backend sends them, while a room talks: as many as one connection takes, "
        "and 10,000 a second. A command's time counts from when it was due.",
        (
            source(
                "control", "as many as go", "control --speakers 3 --listeners 100 --duration 10"
            ),
            source(
                "control-rate",
                "10,000 a second",
                "control --speakers 3 --listeners 100 --duration 10 --rate 10000",
            ),
        ),
        (
            "commands_per_s",
            "command_p50_ms",
            "command_p99_ms",
            "cpu_us_per_command",
            "delay_p99_ms",
            "calm_delay_p99_ms",
            "gap_p99_ms",
            "calm_gap_p99_ms",
            "lost",
        ),
        (
            Goal("command, p99, ms", "control", "command_p99_ms", "<=", 100),
            # A hundredth less is the last moment's, which is not sent any more.
            Goal("at 10,000 a second: commands", "control-rate", "commands_per_s", ">=", 9_900),
            Goal("at 10,000 a second: p99, ms", "control-rate", "command_p99_ms", "<=", 20),
            Goal("at 10,000 a second: extra gap, p99, ms", "control-rate", "gap_p99_ms", "<=", 10),
            Goal("at 10,000 a second: packets lost", "control-rate", "lost", "==", 0),
        ),
    ),
)
