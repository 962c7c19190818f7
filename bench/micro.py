"""What a forwarded packet costs, beside the floor: `python -m bench.micro`, or `make bench`.

README.md beside this file tells what is compared and how to read the numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.fanout import HEADER_BYTES, FanOut, Traffic, unread_sockets
from bench.floor import Floor, FloorError

ROUNDS = 7
DEFAULT_BATCH = 64
SLOTS = 3
BATCHES = (16, 64, 128, 256, 512, 1_024)
BATCH_ROUNDS = 3
WARM_UP_S = 0.05
EXIT_MISSED = 1
EXIT_UNABLE = 2
TRAFFIC: tuple[Traffic, ...] = ("unselected", "inaudible", "unvalidated")


@dataclass(frozen=True)
class Report:
    """CPU microseconds of one packet, medians over the rounds."""

    listeners: int
    payload_bytes: int
    batch: int
    libcrypto: str
    ours_us: float
    floor_us: float
    ratio: float  # floor / ours, the median of the rounds' own ratios
    ours_without_send_us: float
    floor_cipher_us: float
    floor_send_us: float
    ours_by_batch_us: dict[int, float]
    ingress_us: dict[str, float]
    # Three slots that all talk, each listener's packets in one send; the floor likewise.
    segmented_us: float
    segmented_floor_us: float
    segmented_ratio: float


def measure(arguments: argparse.Namespace) -> Report:
    """All measurements. Raises `FloorError` or `OSError` when this machine does not allow them."""
    with (
        unread_sockets(arguments.listeners) as ports,
        tempfile.TemporaryDirectory(prefix="rostrum-bench-") as folder,
    ):
        floor = Floor(Path(folder), ports, HEADER_BYTES)
        fan_out = FanOut(ports, arguments.payload)
        batch, slice_s = arguments.batch, arguments.seconds / (4 * ROUNDS)

        def ours(*, sends: bool = True, size: int = batch) -> float:
            return fan_out.cost_us(batch=size, seconds=slice_s, sends=sends)

        fan_out.cost_us(batch=batch, seconds=WARM_UP_S, sends=True)
        pairs = _alternating(
            ours,
            lambda: floor.cost_us(
                batch=batch, payload_bytes=arguments.payload, seconds=slice_s, work="all"
            ),
        )
        split = [
            floor.cost_us(batch=batch, payload_bytes=arguments.payload, seconds=slice_s, work=work)
            for work in ("cipher", "send")
        ]
        return Report(
            listeners=arguments.listeners,
            payload_bytes=arguments.payload,
            batch=batch,
            libcrypto=floor.libcrypto,
            ours_us=statistics.median(mine for mine, _ in pairs),
            floor_us=statistics.median(other for _, other in pairs),
            ratio=statistics.median(other / mine for mine, other in pairs),
            ours_without_send_us=ours(sends=False),
            floor_cipher_us=split[0],
            floor_send_us=split[1],
            ours_by_batch_us={
                size: statistics.median(ours(size=size) for _ in range(BATCH_ROUNDS))
                for size in BATCHES
            },
            ingress_us={traffic: fan_out.ingress_us(traffic) for traffic in TRAFFIC},
            **_segmented(arguments, ports, floor, slice_s),
        )


def _segmented(
    arguments: argparse.Namespace, ports: list[int], floor: Floor, slice_s: float
) -> dict[str, float]:
    """The same with SLOTS packets in each send."""
    fan_out = FanOut(ports, arguments.payload, talkers=SLOTS, segmented=True)
    batch = arguments.batch
    fan_out.cost_us(batch=batch * SLOTS, seconds=WARM_UP_S, sends=True)
    pairs = _alternating(
        lambda: fan_out.cost_us(batch=batch * SLOTS, seconds=slice_s, sends=True),
        lambda: floor.cost_us(
            batch=batch,
            payload_bytes=arguments.payload,
            seconds=slice_s,
            work="all",
            segments=SLOTS,
        ),
    )
    return {
        "segmented_us": statistics.median(mine for mine, _ in pairs),
        "segmented_floor_us": statistics.median(other for _, other in pairs),
        "segmented_ratio": statistics.median(other / mine for mine, other in pairs),
    }


def _alternating(
    ours: Callable[[], float], floor: Callable[[], float]
) -> list[tuple[float, float]]:
    """(ours, floor) of each round; who goes first changes, so that a drift favours nobody."""
    pairs = []
    for number in range(ROUNDS):
        if number % 2:
            other = floor()
            pairs.append((ours(), other))
        else:
            mine = ours()
            pairs.append((mine, floor()))
    return pairs


def as_text(report: Report) -> str:
    """The report for people."""
    lines = [
        f"fan-out to {report.listeners} listeners, {report.payload_bytes} byte payloads, "
        f"batches of {report.batch}; CPU us per packet",
        f"  ours   {report.ours_us:6.3f}   of it without sending {report.ours_without_send_us:.3f}",
        f"  floor  {report.floor_us:6.3f}   cipher alone {report.floor_cipher_us:.3f}, "
        f"sendmmsg alone {report.floor_send_us:.3f}",
        f"  ratio  {report.ratio:6.3f}   floor / ours, 1 is the best there is",
        f"segmented, {SLOTS} packets of a listener in one send",
        f"  ours   {report.segmented_us:6.3f}",
        f"  floor  {report.segmented_floor_us:6.3f}",
        f"  ratio  {report.segmented_ratio:6.3f}",
        "ours by batch",
        *(f"  {size:5d}  {cost:6.3f}" for size, cost in report.ours_by_batch_us.items()),
        "packets that come in and go nowhere",
        *(f"  {traffic:12s} {cost:6.3f}" for traffic, cost in report.ingress_us.items()),
        f"cipher of the floor: {report.libcrypto}",
    ]
    return "\n".join(lines)


def parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.micro", description=__doc__)
    parser.add_argument("--listeners", type=int, default=1_000, metavar="N")
    parser.add_argument("--payload", type=int, default=80, metavar="BYTES")
    parser.add_argument("--batch", type=int, default=DEFAULT_BATCH, metavar="DATAGRAMS")
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long it takes")
    parser.add_argument("--require", type=float, metavar="RATIO", help="exit 1 below this ratio")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(words)
    if not 1 <= arguments.listeners <= 20_000:
        parser.error("--listeners is 1 to 20000")
    if not 11 <= arguments.payload <= 1_000:
        parser.error("--payload is 11 to 1000 bytes")
    if not 1 <= arguments.batch <= 1_024:
        parser.error("--batch is 1 to 1024")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    arguments = parse_arguments(words)
    try:
        report = measure(arguments)
    except (FloorError, OSError) as error:
        print(f"bench.micro: {error}", file=sys.stderr)
        return EXIT_UNABLE
    print(json.dumps(asdict(report)) if arguments.json else as_text(report))
    if arguments.require is not None and report.ratio < arguments.require:
        print(f"bench.micro: {report.ratio:.3f} is below {arguments.require}", file=sys.stderr)
        return EXIT_MISSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
