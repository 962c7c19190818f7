"""Panels: what is carried, what is lost on the way, what is mixed."""

from __future__ import annotations

from deploy.grafana.dashboard import Panel, Query
from deploy.grafana.queries import HERE, each, now, quantiles, quantiles_now, rate, share

SOUND = [
    Panel(
        "Packets",
        "",
        "pps",
        [
            Query(rate("rostrum_udp_received"), "in"),
            Query(rate("rostrum_udp_sent"), "out"),
            Query(rate("rostrum_forwarded"), "forwarded sound"),
        ],
    ),
    Panel(
        "Bytes on the wire",
        "Without the headers of IP and UDP.",
        "Bps",
        [
            Query(rate("rostrum_udp_received_bytes"), "in"),
            Query(rate("rostrum_udp_sent_bytes"), "out"),
        ],
    ),
    Panel(
        "Time in here",
        "From when the kernel had a batch until all that follows from it is sent.",
        "s",
        quantiles("rostrum_forwarding_seconds"),
    ),
    Panel(
        "Datagrams a system call",
        "How well reading and sending are batched: more when busier.",
        "none",
        [
            Query(share(rate("rostrum_udp_received"), rate("rostrum_udp_receive_calls")), "in"),
            Query(share(rate("rostrum_udp_sent"), rate("rostrum_udp_send_calls")), "out"),
        ],
    ),
    Panel(
        "Not forwarded, by reason",
        "`unselected` and `inaudible` are normal: who has no slot, and silence.",
        "pps",
        [Query(rate("rostrum_dropped", "reason"), "{{reason}}")],
    ),
    Panel(
        "Not sent or not read, by reason",
        "`unreachable` and `refused` are clients that went; all others are losses here.",
        "pps",
        [
            Query(rate("rostrum_udp_dropped", "reason"), "{{reason}}"),
            Query(rate("rostrum_udp_kernel_drops"), "kernel, before it was read"),
        ],
    ),
    Panel(
        "Mending",
        "Lost on the way and brought back; asked for, and sent again.",
        "pps",
        [
            Query(rate("rostrum_recovered"), "recovered from copies"),
            Query(rate("rostrum_repaired"), "came after a request"),
            Query(rate("rostrum_packets_asked"), "asked of publishers"),
            Query(rate("rostrum_resent"), "sent again"),
            Query(rate("rostrum_resends_refused"), "no longer there"),
        ],
    ),
    Panel(
        "Lost on listeners' lines",
        "Of the packets whose arrival clients report one by one.",
        "percentunit",
        [
            Query(
                share(
                    rate("rostrum_stamped_lost"),
                    f"({rate('rostrum_stamped_lost')} + {rate('rostrum_stamped_arrived')})",
                ),
                "lost",
            )
        ],
    ),
    Panel(
        "Listeners by copies sent along",
        "RED against loss: none, one or two earlier packets in each.",
        "none",
        [Query(now("rostrum_protected", "copies"), "{{copies}}")],
        is_stacked=True,
    ),
    Panel(
        "Changes of tier, by cause",
        "",
        "cps",
        [Query(rate("rostrum_tier_changes", "cause"), "{{cause}}")],
    ),
    Panel(
        "Loss, line by line",
        "Of up to 1,000 participants by turns, as they report it.",
        "percentunit",
        quantiles_now("rostrum_line_loss_ratio"),
        width=6,
    ),
    Panel(
        "Jitter, line by line",
        "Of the same.",
        "s",
        quantiles_now("rostrum_line_jitter_seconds"),
        width=6,
    ),
    Panel(
        "Round trips, line by line",
        "Of the same.",
        "s",
        quantiles_now("rostrum_line_rtt_seconds"),
        width=6,
    ),
]

MIXING = [
    Panel(
        "A tick of mixing",
        "There is one every 20 ms; one that takes longer is late.",
        "s",
        quantiles("rostrum_mix_tick_seconds"),
    ),
    Panel(
        "Load of the mixing thread",
        "Share of its core.",
        "percent",
        [Query(f"rostrum_mix_load_percent{{{HERE}}}", "{{instance}}")],
    ),
    Panel(
        "What is mixed",
        "",
        "none",
        [
            Query(now("rostrum_mix_rooms"), "rooms"),
            Query(now("rostrum_mix_voices"), "voices"),
            Query(now("rostrum_mix_encoders"), "encoders"),
        ],
    ),
    Panel(
        "Frames of the mixer",
        "Concealed ones are made up, because nothing came in time.",
        "cps",
        each(
            "rostrum_mix",
            ("decoded_frames", "encoded_frames", "recovered_frames", "concealed_frames"),
        ),
    ),
    Panel(
        "What mixing missed",
        "Ticks left out are heard as gaps of 20 ms by all who hear mixes.",
        "cps",
        [
            *each("rostrum_mix", ("late_ticks", "skipped_ticks", "late_packets", "failures")),
            Query(rate("rostrum_mix_dropped", "reason"), "dropped {{reason}}"),
        ],
    ),
    Panel(
        "No room for mixes",
        "Refused, or ended to spare the others: those listeners get voices, as their line allows.",
        "cps",
        [
            Query(rate("rostrum_mixes_refused"), "refused"),
            Query(rate("rostrum_mixes_shed"), "ended"),
            Query(rate("rostrum_mixes_started"), "started"),
        ],
    ),
]
