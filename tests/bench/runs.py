"""Runs as a load would hand them over, for the tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace

from bench.results import Histogram, Joins, Limit, Meta, Run, Second, Series, Stage, Verdict

META = Meta(
    load="room",
    command="sfu-bench room --listeners 200",
    started_at="2026-05-01T10:00:00+00:00",
    duration_s=20.0,
    version="0.1.0",
    commit="0123456789abcdef",
    machine="Test Processor",
    cpus=2,
    kernel="6.1.0",
    python="3.11.7",
    server_cpus=(0,),
    load_cpus=(1,),
)
KEPT_UP = Verdict(True, (), (Limit("loop lag p99", 1.5, 10.0, "ms"),))
TOO_SLOW = Verdict(
    False,
    ("loop lag p99 was 31 ms, its limit is 10 ms",),
    (Limit("loop lag p99", 31.0, 10.0, "ms"),),
)
FIGURES = {
    "delay_p50_ms": 0.12,
    "delay_p99_ms": 0.9,
    "cpu_us_per_packet": 3.5,
    "packets_per_s": 30_000.0,
    "loss_ratio": 0.0,
    "rss_kib_per_listener": 88.0,
}


def make_run(
    target: str = "rostrum", *, scale: float = 1.0, verdict: Verdict = KEPT_UP, **figures: float
) -> Run:
    """A run of twenty seconds after five of joining; `scale` multiplies every cost."""
    costs = {
        name: value * (1.0 if name == "packets_per_s" else scale) for name, value in FIGURES.items()
    }
    seconds = [
        Second(
            at_s=float(at),
            connected=min(203, 50 * (at + 5)),
            joining=max(0, -at),
            packets_per_s=30_000.0,
            lost=0,
            delay_p50_ms=0.12 * scale if at >= -3 else None,
            delay_p99_ms=0.9 * scale if at >= -3 else None,
            delay_p999_ms=2.0 * scale if at >= -3 else None,
            server_cpu_percent=10.5 * scale,
            cpu_us_per_packet=3.5 * scale,
        )
        for at in range(-5, 20)
    ]
    stages = (
        Stage("dtls", 203, 5.0 * scale, 9.0 * scale, 14.0 * scale, 20.0 * scale),
        Stage("connected", 203, 8.0 * scale, 14.0 * scale, 21.0 * scale, 30.0 * scale),
    )
    return Run(
        meta=META,
        target=target,
        options={"rooms": 1, "speakers": 3, "listeners": 200, "talk": "always", "seed": 1},
        figures=costs | figures,
        series=Series(seconds),
        joins=Joins(203, 203, 0, {}, stages, 99.0),
        distributions={"gap": Histogram("ms", [0.1, 0.2, 0.5, 1.0, 5.0], [10, 500, 400, 80, 9, 1])},
        verdict=verdict,
        counters={"forwarded": 600_000},
    )


def with_meta(run: Run, **changes: object) -> Run:
    """The run, made elsewhere or otherwise."""
    return replace(run, meta=replace(run.meta, **changes))  # type: ignore[arg-type]
