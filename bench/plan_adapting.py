"""Goals and loads of listeners that are not sent everything: mixes and narrow lines. Nothing but
data.
"""

from __future__ import annotations

from bench.goals import MIXING_FIGURES, Goal, Table, source
from bench.options import LINES_KBPS
from bench.plan_forwarding import ROOM

_MIX = "room --speakers 3 --mode mix --join-rate 100 --duration 10 --segmentation off"
# B1, B2, B3 and B4 in turn: the most that each of them may be sent.
_FOUR_TIERS = "--max-kbps 0,45,30,20"
_MIXED = (
    "cpu_ms_per_s_per_listener",
    "cpu_ms_per_s_per_further_listener",
    "server_cpu_percent",
    "mixing_cpu_percent",
    "mix_tick_p99_ms",
    "mix_late_ticks_ratio",
    "mix_skipped_ticks",
    "mix_delay_p50_ms",
    "mix_delay_p99_ms",
    "packets_per_s",
    "wire_kbps_per_listener",
    "gap_p99_ms",
    "loss_ratio",
    "rss_kib_per_listener",
)
_BRIDGE = "janus-audiobridge"
_OF_LINE = tuple(
    f"line_{kbps}_{what}"
    for kbps in LINES_KBPS.split(",")
    for what in ("settle_s", "carried_kbps", "climb_s")
)

ADAPTING = (
    Table(
        "Mixing beside its floor",
        "One room of three speakers who always talk, mixed into four tiers, in the mixer alone, "
        "beside libopus decoding and encoding as much and nothing else. The audience has no part "
        "in it.",
        (source("mixing", "3 speakers, 4 tiers", "mixing"),),
        tuple(MIXING_FIGURES.values()),
        (Goal("mixing, % of a core", "mixing", "mixing, % of a core", "<=", 5),),
    ),
    Table(
        "Listeners of a mix",
        "1,000 listeners of one room, three speakers who always talk: the mix on one track, and "
        "three slots.",
        (
            source("mix-1000", "mix", f"{_MIX} --listeners 1000"),
            source(
                "mix-1000-tiers", "mixes of four tiers", f"{_MIX} --listeners 1000 {_FOUR_TIERS}"
            ),
            source("slots-1000", "three slots", f"{ROOM} --listeners 1000 --segmentation off"),
        ),
        _MIXED,
        (
            Goal(
                "CPU, mix / three slots",
                "mix-1000",
                "server_cpu_percent",
                "<=",
                0.334,
                divided_by="slots-1000",
            ),
            Goal(
                "CPU, mixes of four tiers / three slots",
                "mix-1000-tiers",
                "server_cpu_percent",
                "<=",
                0.334,
                divided_by="slots-1000",
            ),
            Goal(
                "mixing four tiers, % of a core",
                "mix-1000-tiers",
                "mixing_cpu_percent",
                "<=",
                5,
            ),
            Goal("mixing ticks skipped", "mix-1000-tiers", "mix_skipped_ticks", "==", 0),
        ),
    ),
    Table(
        "Listeners of a mix beside Janus",
        "The same clients against three servers in one run: ours, Janus AudioBridge, which encodes "
        "for every participant, and Janus Streaming, fed by one mix of AudioBridge. All encode "
        "fullband at 32 kbit/s in packets of 20 ms. A further listener's CPU is what those cost "
        "who joined after a quarter was in: the mixing itself is not in it.",
        (
            source(
                "janus-mixes",
                "",
                f"{_MIX} --listeners 48 --target rostrum --target {_BRIDGE} "
                "--target janus-streaming",
            ),
        ),
        _MIXED,
        (
            Goal(
                "CPU of a further listener, times ahead of AudioBridge",
                "janus-mixes",
                "cpu_ms_per_s_per_further_listener",
                ">=",
                40,
                _BRIDGE,
            ),
            Goal(
                "CPU of a further listener, times ahead of Streaming",
                "janus-mixes",
                "cpu_ms_per_s_per_further_listener",
                ">=",
                1,
                "janus-streaming",
            ),
        ),
    ),
    Table(
        "Narrow lines",
        "Listeners who join three speakers behind lines of these speeds (a queue of 300 ms and one "
        "datagram, drop-tail); after half a minute the lines open. *Settled*: from when connected "
        "until nothing went down and nothing was dropped any more. *Flapping*: they open and "
        "narrow again every 15 s.",
        (
            source("ladder", "narrow, then open", "ladder --duration 30 --open 40"),
            source("ladder-flapping", "flapping", "ladder --duration 65 --flap 15 --open 1"),
        ),
        (
            "settle_max_s",
            "tail_drops",
            "silent_lines",
            "climb_max_s",
            "tier_changes_in_10s",
            "other_tier_changes",
            *_OF_LINE,
        ),
        (
            Goal("slowest to settle, s", "ladder", "settle_max_s", "<=", 6),
            Goal("dropped after that", "ladder", "tail_drops", "==", 0),
            Goal("without sound", "ladder", "silent_lines", "==", 0),
            Goal("slowest to be whole again, s", "ladder", "climb_max_s", "<=", 30),
            Goal(
                "flapping: tier changes in 10 s",
                "ladder-flapping",
                "tier_changes_in_10s",
                "<=",
                1,
            ),
            Goal("tier changes of others", "ladder", "other_tier_changes", "==", 0),
        ),
    ),
)
