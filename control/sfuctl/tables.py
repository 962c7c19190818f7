"""Aligned columns, times and ages as text. No IO, no clock."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

_MINUTE_S = 60
_HOUR_S = 3_600
_DAY_S = 86_400


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Left-aligned columns, two spaces apart, with a heading."""
    return aligned([columns, *rows])


def aligned(rows: Iterable[Sequence[object]]) -> str:
    """Left-aligned columns, two spaces apart."""
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(padded, line, widths)).rstrip() for line in lines)


def fields(pairs: Mapping[str, object]) -> str:
    """One name and its value a line; None is left out."""
    return aligned([(name, value) for name, value in pairs.items() if value is not None])


def printable(cell: object) -> str:
    """Names come from anybody: nothing in them may move a terminal's cursor."""
    return "".join(
        char if unicodedata.category(char)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for char in str(cell)
    )


def clock(at_ms: int) -> str:
    """Unix milliseconds as UTC."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(milliseconds: int) -> str:
    """A length of time in its two largest units: `0s`, `3m 5s`, `2d 1h`. Never below zero."""
    seconds = max(0, milliseconds) // 1_000
    if seconds < _MINUTE_S:
        return f"{seconds}s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S}m {seconds % _MINUTE_S}s"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S}h {seconds % _HOUR_S // _MINUTE_S}m"
    return f"{seconds // _DAY_S}d {seconds % _DAY_S // _HOUR_S}h"


def left(milliseconds: int) -> str:
    """As `span`, for what is yet to come: a second that has begun counts."""
    return span(milliseconds + 999)


def count(many: int, what: str) -> str:
    """`1 speaker`, `2,000 listeners`."""
    return f"{many:,} {what}{'' if many == 1 else 's'}"


def number(value: float) -> str:
    """With thousands separated; a whole one without a point."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def names(many: Iterable[str]) -> str:
    """`a, b, c`, or `nobody`."""
    return ", ".join(many) or "nobody"


def padded(cell: str, columns: int) -> str:
    """Filled with spaces on the right."""
    return cell + " " * (columns - width(cell))


def cut(text: str, columns: int) -> str:
    """No wider than so many columns of a terminal."""
    kept, used = [], 0
    for char in text:
        used += _columns(char)
        if used > columns:
            break
        kept.append(char)
    return "".join(kept)


def width(cell: str) -> int:
    """Columns on a terminal."""
    return sum(_columns(char) for char in cell)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
