"""Waiting for a condition, with a bound: never a sleep that hopes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.02


async def until(
    condition: Callable[[], bool], what: Callable[[], str] | str, timeout_s: float = 5.0
) -> None:
    """Return as soon as `condition` holds; AssertionError with `what` when it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not condition():
        if loop.time() > deadline:
            raise AssertionError(
                f"not within {timeout_s} s: {what if isinstance(what, str) else what()}"
            )
        await asyncio.sleep(POLL_S)


async def until_equal(
    observe: Callable[[], Awaitable[T]], expected: T, *, timeout_s: float = 10.0, holds: int = 3
) -> None:
    """Return when `observe` gave `expected` `holds` times in a row."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    streak = 0
    while streak < holds:
        seen = await observe()
        streak = streak + 1 if seen == expected else 0
        if loop.time() > deadline and streak < holds:
            raise AssertionError(f"not within {timeout_s} s: expected {expected}, last {seen}")
        await asyncio.sleep(0.1)
