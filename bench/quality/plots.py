"""The plots beside QUALITY.md: files of their own, drawn by `bench.report.svg`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.quality.losses import PATTERNS, TITLES, Pattern
from bench.quality.measuring import LOSSES, TYPICAL_PATTERN, Case, Outcome, Spread
from bench.quality.treatments import TREATMENTS, Treatment
from bench.report import svg
from bench.report.style import SHEET

# In % of loss: so far apart that the ranges of two treatments at one loss can both be seen.
_BESIDE = 0.3
_LEGEND_ROW_PX = 18
_SHEET = f"""{SHEET}
svg {{ font: 12.5px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }}
.ground {{ fill: var(--card) }} .range {{ stroke-width: 1.2; opacity: .55 }}
"""
_PESQ = svg.Axis(1.0, 5.0)
_LOSS = svg.Axis(-1.0, 31.0)

Figure = Callable[[Outcome], float]


def plots(outcomes: Mapping[Case, Sequence[Outcome]]) -> dict[str, str]:
    """File names and contents: quality and residual loss, on either kind of line."""
    files = {}
    for pattern in PATTERNS:
        files[f"pesq-{pattern}.svg"] = _plot(outcomes, pattern, lambda one: one.pesq, _PESQ, "PESQ")
        concealed = [100 * one.concealed for found in outcomes.values() for one in found]
        files[f"concealed-{pattern}.svg"] = _plot(
            outcomes,
            pattern,
            lambda one: 100 * one.concealed,
            svg.axis_for(concealed),
            "concealed frames, %",
        )
    return files


def spread(
    outcomes: Mapping[Case, Sequence[Outcome]],
    treatment: Treatment,
    pattern: Pattern,
    loss: float,
    figure: Figure,
) -> Spread:
    """Over all voices and seeds; a line without loss has no pattern."""
    case = Case(treatment, pattern if loss else TYPICAL_PATTERN, loss)
    return Spread.of(map(figure, outcomes[case]))


def _plot(
    outcomes: Mapping[Case, Sequence[Outcome]],
    pattern: Pattern,
    figure: Figure,
    y: svg.Axis,
    label: str,
) -> str:
    height = svg.HEIGHT + _LEGEND_ROW_PX * 2
    parts = [svg.box(0, 0, svg.WIDTH, height, "ground")]
    parts += svg.frame(_LOSS, y, f"{TITLES[pattern]} on the downlink, %", label)
    for index, treatment in enumerate(TREATMENTS):
        found = [spread(outcomes, treatment, pattern, loss, figure) for loss in LOSSES]
        beside = (index - len(TREATMENTS) // 2) * _BESIDE
        xs = [100 * loss + beside for loss in LOSSES]
        line = svg.Line(treatment.label, [one.mean for one in found], f"s{index}")
        parts.append(svg.polyline(line, xs, _LOSS, y))
        parts += _ranges(found, xs, y, f"s{index}")
        parts += _legend(index, treatment.label)
    return svg.document(f"{label}, {TITLES[pattern]}", parts, _SHEET, height=height)


def _ranges(found: Sequence[Spread], xs: Sequence[float], y: svg.Axis, style: str) -> list[str]:
    return [
        f'<path class="line range {style}" d="M{svg.column(_LOSS, x):.1f} '
        f'{svg.row(y, one.low):.1f}V{svg.row(y, one.high):.1f}"/>'
        for x, one in zip(xs, found, strict=True)
    ]


def _legend(index: int, label: str) -> list[str]:
    """Three to a row, below the plot."""
    left = svg.LEFT + index % 3 * 136
    top = svg.HEIGHT + index // 3 * _LEGEND_ROW_PX + 4
    return [
        svg.box(left, top, 14, 9, f"s{index}"),
        svg.text(left + 20, top + 9, label),
    ]
