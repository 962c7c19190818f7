"""The plots of a report, each from the runs it compares; the axes of panels side by side agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.figures import number
from bench.report import svg
from bench.results import Histogram, Run, Second, Stage

# More columns than this are narrower than a pixel on most screens, and a page of hours of
# seconds would weigh megabytes.
MAX_COLUMNS = 240
PERCENTILES = (("p50", "delay_p50_ms"), ("p99", "delay_p99_ms"), ("p99.9", "delay_p999_ms"))
STAGE_PARTS = (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms"))
BAR_PX, GROUP_GAP_PX = 15, 12
MIN_BAR_PX = 6.0


@dataclass(frozen=True)
class Timeline:
    """A run's seconds, thinned out to columns of equal length."""

    columns: tuple[tuple[Second, ...], ...]

    @classmethod
    def of(cls, run: Run) -> Timeline:
        """Neighbouring seconds share a column when there are too many."""
        seconds = run.series.seconds
        size = max(1, math.ceil(len(seconds) / MAX_COLUMNS))
        return cls(tuple(tuple(seconds[at : at + size]) for at in range(0, len(seconds), size)))

    @property
    def times_s(self) -> list[float]:
        """When each column begins."""
        return [column[0].at_s for column in self.columns]

    def values(self, name: str, combine: Callable[[Iterable[float]], float]) -> list[float | None]:
        """One value a column; None where none of its seconds has one."""
        result: list[float | None] = []
        for column in self.columns:
            known = [value for value in (getattr(one, name) for one in column) if value is not None]
            result.append(combine(known) if known else None)
        return result


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)


def _time_axis(runs: Sequence[Run]) -> svg.Axis:
    ends = [(run.series.seconds[0].at_s, run.series.seconds[-1].at_s) for run in runs]
    low, high = min(first for first, _ in ends), max(last for _, last in ends)
    return svg.Axis(low, max(high, low + 1))


def _before(x: svg.Axis) -> list[str]:
    """The time before the measured window, in which clients join and rooms settle."""
    if x.low >= 0:
        return []
    left, right = svg.column(x, x.low), svg.column(x, 0)
    area = svg.box(
        left, svg.TOP, right - left, svg.PLOT_HEIGHT, "before", "before the measured window"
    )
    is_wide = right - left > 50
    return [
        area,
        *([svg.text(left + 5, svg.TOP + 14, "before")] if is_wide else []),
    ]


def _hits(timeline: Timeline, x: svg.Axis, hints: Sequence[str]) -> list[str]:
    """Invisible columns over the plot that tell the values of their time on hover."""
    times = timeline.times_s
    lefts = [svg.column(x, at) for at in times]
    width = max(2.0, (lefts[-1] - lefts[0]) / max(1, len(lefts) - 1))
    return [
        svg.box(left - width / 2, svg.TOP, width, svg.PLOT_HEIGHT, "hit", hint)
        for left, hint in zip(lefts, hints, strict=True)
    ]


def _hints(times: Sequence[float], lines: Sequence[svg.Line], unit: str) -> list[str]:
    hints = []
    for index, at in enumerate(times):
        known = [(line.label, line.values[index]) for line in lines]
        told = [f"{label}: {number(value)} {unit}" for label, value in known if value is not None]
        hints.append("\n".join([f"{at:g} s", *(told or ["nothing measured"])]))
    return hints


def _known(lines: Iterable[svg.Line]) -> list[float]:
    return [value for line in lines for value in line.values if value is not None]


def delays(runs: Sequence[Run]) -> list[str]:
    """A panel for each run: percentiles of the added delay over time."""
    timelines = [Timeline.of(run) for run in runs]
    panels = [
        [
            svg.Line(label, timeline.values(name, max), f"s{index}")
            for index, (label, name) in enumerate(PERCENTILES)
        ]
        for timeline in timelines
    ]
    x = _time_axis(runs)
    y = svg.axis_for(_known(line for lines in panels for line in lines), may_be_log=True)
    return [
        _over_time("added delay over time", "added delay, ms", lines, timeline, x, y, unit="ms")
        for lines, timeline in zip(panels, timelines, strict=True)
    ]


def _over_time(
    label: str,
    y_label: str,
    lines: Sequence[svg.Line],
    timeline: Timeline,
    x: svg.Axis,
    y: svg.Axis,
    *,
    unit: str,
) -> str:
    shown = [line for line in lines if any(value is not None for value in line.values)]
    times = timeline.times_s
    parts = [
        *_before(x),
        *svg.frame(x, y, "time, s", y_label),
        *(svg.polyline(line, times, x, y) for line in shown),
        *_hits(timeline, x, _hints(times, shown, unit)),
    ]
    return svg.legend([(line.style, line.label) for line in shown]) + svg.figure(label, parts)


def overlay(
    runs: Sequence[Run],
    names: Sequence[str],
    field: str,
    y_label: str,
    *,
    unit: str,
    combine: Callable[[Iterable[float]], float] = _mean,
) -> str:
    """One plot with a line for each run; empty when no run measured it."""
    timelines = [Timeline.of(run) for run in runs]
    lines = [
        svg.Line(name, timeline.values(field, combine), f"s{index} other" if index else "s0")
        for index, (name, timeline) in enumerate(zip(names, timelines, strict=True))
    ]
    if not _known(lines):
        return ""
    x, y = _time_axis(runs), svg.axis_for(_known(lines))
    parts = [*_before(x), *svg.frame(x, y, "time, s", y_label)]
    for line, timeline in zip(lines, timelines, strict=True):
        parts.append(svg.polyline(line, timeline.times_s, x, y))
    longest = max(timelines, key=lambda timeline: len(timeline.columns))
    parts += _hits(longest, x, _overlay_hints(longest, timelines, lines, unit))
    entries = [(line.style, line.label) for line in lines] if len(lines) > 1 else []
    return svg.legend(entries) + svg.figure(y_label, parts)


def _overlay_hints(
    longest: Timeline, timelines: Sequence[Timeline], lines: Sequence[svg.Line], unit: str
) -> list[str]:
    """Each run's value at the longest run's times; runs need not begin at the same second."""
    tables = [
        dict(zip((round(at) for at in timeline.times_s), line.values, strict=True))
        for timeline, line in zip(timelines, lines, strict=True)
    ]
    times = longest.times_s
    aligned = [
        svg.Line(line.label, [table.get(round(at)) for at in times], line.style)
        for line, table in zip(lines, tables, strict=True)
    ]
    return _hints(times, aligned, unit)


def losses(runs: Sequence[Run], names: Sequence[str]) -> str:
    """Packets lost each second, a bar for each run."""
    timelines = [Timeline.of(run) for run in runs]
    values = [[value or 0.0 for value in one.values("lost", sum)] for one in timelines]
    x, highest = _time_axis(runs), max((max(one, default=0) for one in values), default=0)
    y = svg.axis_for([max(highest, 5.0)])  # fewer would put fractions of packets on the axis
    parts = [*_before(x), *svg.frame(x, y, "time, s", "packets lost")]
    for index, (timeline, lost, name) in enumerate(zip(timelines, values, names, strict=True)):
        parts += _loss_bars(timeline, lost, x, y, index, len(runs), name)
    if not highest:
        middle = svg.LEFT + svg.PLOT_WIDTH / 2
        parts.append(svg.text(middle, svg.TOP + 60, "no packet was lost", "middle", "good"))
    entries = [(f"s{index}", name) for index, name in enumerate(names)] if len(runs) > 1 else []
    return svg.legend(entries) + svg.figure("packets lost over time", parts)


def _loss_bars(
    timeline: Timeline,
    lost: Sequence[float],
    x: svg.Axis,
    y: svg.Axis,
    index: int,
    count: int,
    name: str,
) -> list[str]:
    slot = svg.PLOT_WIDTH / max(1, len(lost))
    width = max(1.0, slot * 0.8 / count)
    bars = []
    for at, value in zip(timeline.times_s, lost, strict=True):
        left = min(svg.column(x, at) + index * width, svg.LEFT + svg.PLOT_WIDTH - width)
        top = svg.row(y, value)
        if value:
            hint = f"{at:g} s\n{name}: {number(value)} packets lost"
            bars.append(
                svg.box(left, top, width, svg.TOP + svg.PLOT_HEIGHT - top, f"s{index}", hint)
            )
    return bars


def join_stages(runs: Sequence[Run]) -> list[str]:
    """A panel for each run: how long each stage of a join took."""
    longest = [stage.p99_ms for run in runs for stage in run.joins.stages]
    x = svg.axis_for(longest, may_be_log=False)
    return [_stages(run.joins.stages, x) if run.joins.stages else "" for run in runs]


def _stages(stages: Sequence[Stage], x: svg.Axis) -> str:
    group = BAR_PX * len(STAGE_PARTS) + GROUP_GAP_PX
    left, bottom = 92, svg.TOP + group * len(stages)
    width = svg.WIDTH - left - 56

    def pixel(value: float) -> float:
        return left + x.share(value) * width

    parts = []
    for tick in x.ticks():
        parts.append(f'<path class="grid" d="M{pixel(tick):.1f} {svg.TOP}V{bottom}"/>')
        parts.append(svg.text(pixel(tick), bottom + 16, svg.tick_text(tick), "middle"))
    for index, stage in enumerate(stages):
        top = svg.TOP + index * group
        name = stage.name.replace("_", " ")
        parts.append(svg.text(left - 8, top + group / 2, name, "end"))
        for place, (label, field) in enumerate(STAGE_PARTS):
            value = getattr(stage, field)
            at = top + GROUP_GAP_PX / 2 + place * BAR_PX
            hint = f"{name}, {label}: {number(value)} ms\n{stage.count} joins"
            length = max(1.0, pixel(value) - left)
            parts.append(svg.box(left, at, length, BAR_PX - 2, f"s{place}", hint))
            parts.append(svg.text(left + length + 5, at + BAR_PX - 4, number(value), style="value"))
    parts.append(svg.text(left + width / 2, bottom + 36, "time, ms", "middle", "label"))
    entries = [(f"s{place}", label) for place, (label, _) in enumerate(STAGE_PARTS)]
    return svg.legend(entries) + svg.figure("join stages", parts, height=bottom + 44)


def histograms(found: Sequence[Histogram | None], label: str) -> list[str]:
    """A panel for each distribution: the share of values in each bar, logarithmic, so that one
    packet in a million can be seen; empty for a run without values.
    """
    known = [one for one in found if one is not None and one.total]
    if not known:
        return ["" for _ in found]
    x = _bucket_axis(known)
    shares = [100 * count / one.total for one in known for _, _, count in _bars(one, x)]
    y = svg.log_axis(min(shares) / 2, 100.0)
    return [_histogram(one, x, y, label) if one and one.total else "" for one in found]


def _bucket_axis(known: Sequence[Histogram]) -> svg.Axis:
    """From the first to the last bucket in which any of them has a value."""
    spans = [bucket for one in known for bucket in _buckets(one) if bucket[2]]
    low = min(left for left, _, _ in spans)
    high = max(right if math.isfinite(right) else left for left, right, _ in spans)
    first_edge = min((edge for one in known for edge in one.edges if edge > 0), default=1.0)
    if low >= 0 and high / max(low, first_edge) > svg.LOG_SPREAD:
        return svg.log_axis(max(low, first_edge / 2), high)
    return svg.Axis(low, high if high > low else low + 1)


def _buckets(one: Histogram) -> list[tuple[float, float, int]]:
    """(lower edge, upper edge, count)."""
    lower = [min(0.0, one.edges[0]), *one.edges]
    return list(zip(lower, [*one.edges, math.inf], one.counts, strict=True))


def _bars(one: Histogram, x: svg.Axis) -> list[tuple[float, float, int]]:
    """Neighbouring buckets together until they are wide enough to be seen; empty ones left out.

    Buckets that are finer than a pixel, or of changing width, would draw a comb that is not in the
    values.
    """
    bars: list[tuple[float, float, int]] = []
    begin, count = 0.0, 0
    for left, right, values in _buckets(one):
        begin = begin if count else left
        count += values
        is_wide = svg.column(x, right) - svg.column(x, begin) >= MIN_BAR_PX
        if count and (is_wide or math.isinf(right)):
            bars.append((begin, right, count))
            count = 0
    return bars


def _histogram(one: Histogram, x: svg.Axis, y: svg.Axis, label: str) -> str:
    parts = svg.frame(x, y, f"{label}, {one.unit}", "share, %")
    bottom, end = svg.TOP + svg.PLOT_HEIGHT, svg.LEFT + svg.PLOT_WIDTH
    for low, high, count in _bars(one, x):
        share = 100 * count / one.total
        left = min(svg.column(x, low), end - MIN_BAR_PX)
        width = max(MIN_BAR_PX, svg.column(x, high) - left) - 0.7
        upper = f"to {number(high)}" if math.isfinite(high) else "and more"
        hint = f"{number(low)} {upper} {one.unit}\n{number(share)} %, {count} values"
        top = svg.row(y, share)
        parts.append(svg.box(left, top, width, bottom - top, "s0", hint))
    parts += _marks(one, x)
    return svg.figure(f"{label}, distribution", parts)


def _marks(one: Histogram, x: svg.Axis) -> list[str]:
    """Where the percentiles lie, each label on a line of its own."""
    parts = []
    for place, (label, share) in enumerate((("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))):
        value = one.quantile(share)
        if value is None or not math.isfinite(value):
            continue
        at, height = svg.column(x, value), svg.TOP + 12 + 16 * place
        words = f"{label} {number(value)} {one.unit}"
        is_right = at > svg.LEFT + svg.PLOT_WIDTH * 0.6
        parts.append(
            f'<path class="mark" d="M{at:.1f} {height - 10}V{svg.TOP + svg.PLOT_HEIGHT}"/>'
        )
        parts.append(
            svg.text(
                at + (-5 if is_right else 5), height, words, "end" if is_right else "start", "value"
            )
        )
    return parts
