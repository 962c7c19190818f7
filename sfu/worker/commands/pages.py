"""How long answers are cut into pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# Fifty states with the largest metadata (16 KiB) still fit a frame of 1 MiB.
PAGE_SIZE = 50
# A raised hand is small. Whoever raises one is told the first page, not ten thousand others.
HANDS_PAGE_SIZE = 200


def page_of(items: Sequence[T], page: int, size: int = PAGE_SIZE) -> tuple[Sequence[T], int | None]:
    """One page and the number of the next, None on the last."""
    first = page * size
    is_last = first + size >= len(items)
    return items[first : first + size], None if is_last else page + 1
