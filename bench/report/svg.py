"""Plots as inline SVG: no script, no font, no file beside the page.

Colours are classes (`s0` .. `s5`), so the page's style decides about light and dark; values are
told by plain `<title>` elements, which every browser shows on hover and screen readers read. All
text is escaped here, at the one place where it enters markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# Narrow, so that its text stays readable when a phone shrinks it.
WIDTH, HEIGHT = 480, 260
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 44
PLOT_WIDTH = WIDTH - LEFT - RIGHT
PLOT_HEIGHT = HEIGHT - TOP - BOTTOM
# Values further apart than this are told on a logarithmic scale: on a linear one all but the
# largest would lie on the axis.
LOG_SPREAD = 40.0


@dataclass(frozen=True)
class Line:
    """One series over the plot's xs; None is a hole in it."""

    label: str
    values: Sequence[float | None]
    style: str  # a class of the page's style


@dataclass(frozen=True)
class Axis:
    """Maps values to pixels, with the ticks to draw."""

    low: float
    high: float
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where the value lies, 0 (low) to 1 (high); clipped to that."""
        if self.is_log:
            value = max(value, self.low)
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round numbers within the axis."""
        if self.is_log:
            return self._decades()
        raw = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]

    def _decades(self) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        step = max(1, math.ceil((last - first) / 6))
        factors = (1, 2, 5) if last - first < 3 else (1,)
        ticks = [
            10.0**power * factor for power in range(first, last + 1, step) for factor in factors
        ]
        return [tick for tick in ticks if self.low * 0.999 <= tick <= self.high * 1.001]


def axis_for(values: Sequence[float], *, may_be_log: bool = False) -> Axis:
    """A value axis that holds all of them and begins at zero, or at a decade when logarithmic."""
    finite = [value for value in values if math.isfinite(value)]
    high = max(finite, default=0.0)
    positive = [value for value in finite if value > 0]
    if may_be_log and positive and high / min(positive) > LOG_SPREAD:
        return log_axis(min(positive), high)
    return Axis(0.0, _rounded_up(high))


def log_axis(low: float, high: float) -> Axis:
    """A logarithmic axis around two positive values, ending at 1, 2 or 5 of some decade."""
    bottom = 10.0 ** math.floor(math.log10(low) + 1e-9)
    start = max(bottom * step for step in (1, 2, 5) if bottom * step <= low * 1.001)
    end = _rounded_up(high, (1, 2, 5, 10))
    return Axis(start, max(end, start * 10), is_log=True)


def _rounded_up(value: float, steps: Sequence[float] = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)) -> float:
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return next(power * step for step in steps if power * step >= value * 0.999)


def tick_text(value: float) -> str:
    """Short: 0.5, 20, 1500 as 1.5k, 1e-05 as 0.00001."""
    if value and abs(value) >= 1_000_000:
        return f"{value / 1e6:g}M"
    if abs(value) >= 10_000:
        return f"{value / 1e3:g}k"
    return f"{value:.6f}".rstrip("0").rstrip(".") if value else "0"


def column(x: Axis, value: float) -> float:
    """The pixel of an x value."""
    return LEFT + x.share(value) * PLOT_WIDTH


def row(y: Axis, value: float) -> float:
    """The pixel of a y value."""
    return TOP + (1 - y.share(value)) * PLOT_HEIGHT


def figure(label: str, parts: Sequence[str], *, height: int = HEIGHT) -> str:
    """The `<svg>` element; `label` is what a screen reader calls it."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def document(label: str, parts: Sequence[str], sheet: str, *, height: int = HEIGHT) -> str:
    """A file of its own, with its style in it; browsers also show it as an image of a page."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(label)}"><style>{escape(sheet, quote=False)}</style>'
        + "".join(parts)
        + "</svg>\n"
    )


def frame(x: Axis, y: Axis, x_label: str, y_label: str, *, x_ticks: int = 6) -> list[str]:
    """Grid, ticks and the labels of both axes, with their units."""
    parts = []
    bottom = TOP + PLOT_HEIGHT
    for tick in y.ticks():
        at = row(y, tick)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{LEFT + PLOT_WIDTH}"/>')
        parts.append(text(LEFT - 6, at + 4, tick_text(tick), "end"))
    for tick in x.ticks(x_ticks):
        at = column(x, tick)
        parts.append(f'<path class="tick" d="M{at:.1f} {bottom}v5"/>')
        parts.append(text(at, bottom + 18, tick_text(tick), "middle"))
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{LEFT + PLOT_WIDTH}"/>')
    parts.append(text(LEFT + PLOT_WIDTH / 2, HEIGHT - 6, x_label, "middle", "label"))
    middle = TOP + PLOT_HEIGHT / 2
    parts.append(
        f'<text class="label" text-anchor="middle" transform="translate(14 {middle}) '
        f'rotate(-90)">{escape(y_label)}</text>'
    )
    return parts


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    """One escaped text element."""
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def polyline(line: Line, xs: Sequence[float], x: Axis, y: Axis) -> str:
    """The line, broken where a value is missing; a lone value becomes a dot."""
    pieces: list[str] = []
    dots: list[str] = []
    stretch: list[tuple[float, float]] = []

    def end() -> None:
        if len(stretch) == 1:
            (cx, cy), *_ = stretch
            dots.append(f'<circle class="{line.style}" cx="{cx:.1f}" cy="{cy:.1f}" r="2.5"/>')
        elif stretch:
            pieces.append("M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in stretch))
        stretch.clear()

    for at, value in zip(xs, line.values, strict=True):
        if value is None:
            end()
        else:
            stretch.append((column(x, at), row(y, value)))
    end()
    path = f'<path class="line {line.style}" d="{"".join(pieces)}"/>' if pieces else ""
    return path + "".join(dots)


def box(x: float, y: float, width: float, height: float, style: str, hint: str = "") -> str:
    """A rectangle, with the text shown on hover."""
    title = f"<title>{escape(hint)}</title>" if hint else ""
    return (
        f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" '
        f'height="{max(0.0, height):.1f}">{title}</rect>'
    )


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """(style, label) pairs as HTML above the plot, where they wrap on a small screen."""
    items = "".join(
        f'<span><i class="{style}"></i>{escape(label)}</span>' for style, label in entries
    )
    return f'<p class="legend">{items}</p>' if entries else ""
