"""Scrapes hold nothing up, however large they are and however many want one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sfu.shell.scrapes import SCRAPES_AT_ONCE_MAX, SCRAPES_PER_S, Scrapes


class Rig:
    """Counts what is made, on a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.made = 0
        self.steps: list[str] = []
        self.is_broken = False
        self.scrapes = Scrapes(self.parts, clock=lambda: self.now)

    def parts(self) -> Iterator[str]:
        """Three of them."""
        self.made += 1
        number = self.made
        if self.is_broken:
            raise ValueError("broken")
        for part in "abc":
            self.steps.append(part)
            yield f"{part}{number}"


async def test_everything_else_has_its_turn_between_two_parts() -> None:
    rig = Rig()
    scrape = asyncio.create_task(rig.scrapes.text())
    while not scrape.done():
        rig.steps.append("-")
        await asyncio.sleep(0)
    assert await scrape == b"a1b1c1"
    assert "-a-b-c" in "".join(rig.steps)


async def test_those_who_come_during_a_scrape_get_the_same() -> None:
    rig = Rig()
    texts = await asyncio.gather(*(rig.scrapes.text() for _ in range(100)))
    assert (set(texts), rig.made) == ({b"a1b1c1"}, 1)


async def test_one_who_goes_takes_nothing_from_the_others() -> None:
    rig = Rig()
    first, second = (asyncio.create_task(rig.scrapes.text()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"a1b1c1"


async def test_some_one_after_the_other_are_each_made_anew() -> None:
    rig = Rig()
    texts = [await rig.scrapes.text() for _ in range(SCRAPES_AT_ONCE_MAX)]
    assert texts == [f"a{n}b{n}c{n}".encode() for n in range(1, SCRAPES_AT_ONCE_MAX + 1)]


async def test_of_too_many_the_rest_get_the_last_until_time_has_passed() -> None:
    rig = Rig()
    for _ in range(SCRAPES_AT_ONCE_MAX + 100):
        await rig.scrapes.text()
    assert rig.made == SCRAPES_AT_ONCE_MAX
    rig.now += 3 / SCRAPES_PER_S + 1e-6
    for _ in range(100):
        await rig.scrapes.text()
    assert rig.made == SCRAPES_AT_ONCE_MAX + 3


async def test_one_that_fails_is_told_and_the_next_is_made_anew() -> None:
    rig = Rig()
    rig.is_broken = True
    with pytest.raises(ValueError, match="broken"):
        await rig.scrapes.text()
    rig.is_broken = False
    assert await rig.scrapes.text() == b"a2b2c2"
