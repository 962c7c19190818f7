"""A participant in a page of any browser: what browser_peer.js does, from here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

SCRIPT = Path(__file__).parent / "browser_peer.js"
# A tone of -10 dBFS arrives near -20 dB in its bin; what leaks from other tones is below -80.
HEARD_DB = -45.0
# So much sound after a change shows that it stays.
STEADY_S = 1.0


class Page(Protocol):
    """What a driver of a browser offers: a JavaScript function is called in the page."""

    async def evaluate(self, expression: str, arg: Any = None, /) -> Any:
        """What the function returns, awaited, as JSON goes."""


class Repair(NamedTuple):
    """What a client offers against loss."""

    red: bool
    nack: bool


class Silences(NamedTuple):
    """Seconds of decoded sound: the longest silence, the one at the end, what the decoder made up
    for packets that did not come, and all of it.
    """

    longest_s: float
    present_s: float
    made_up_s: float
    heard_s: float

    @property
    def gone_s(self) -> float:
        """How long there was no sound of the speaker, whatever was played instead."""
        return max(self.longest_s, self.made_up_s)


class Decoded(NamedTuple):
    """What the decoder of one track did so far, or between two moments as their difference.

    `delay` is the sum over `emitted` samples of the seconds each waited in the jitter buffer;
    `silent` are those of the `concealed` samples that were made up as silence; `energy` is of full
    scale squared times seconds.
    """

    packets: float
    lost: float
    samples: float
    concealed: float
    silent: float
    energy: float
    delay: float
    emitted: float

    def since(self, before: Decoded) -> Decoded:
        """What was added since then."""
        return Decoded(*(now - then for now, then in zip(self, before, strict=True)))

    @property
    def concealment(self) -> float:
        """The part of all played samples that was made up, silence included."""
        return self.concealed / max(1.0, self.samples)

    @property
    def audible_concealment(self) -> float:
        """The part of all played samples that was made up and sounds: what breaks a voice."""
        return (self.concealed - self.silent) / max(1.0, self.samples)

    @property
    def delay_s(self) -> float:
        """How long a sample waited, on the average."""
        return self.delay / max(1.0, self.emitted)

    @property
    def loss(self) -> float:
        """The part of the packets that did not come."""
        return self.lost / max(1.0, self.lost + self.packets)

    def __str__(self) -> str:
        return (
            f"{self.samples / 48_000:.1f} s, energy {self.energy:.3f}, "
            f"concealed {self.concealment:.2%} (audible {self.audible_concealment:.2%}), "
            f"lost {self.loss:.2%}, delay {self.delay_s * 1000:.0f} ms"
        )


# Before a track got anything.
NOTHING = Decoded(*[0.0] * len(Decoded._fields))


class PagePeer:
    """A page with one `BrowserPeer` of browser_peer.js in it, whose microphone plays `hz`."""

    def __init__(self, page: Page, close: Callable[[], Awaitable[None]]) -> None:
        self.page = page
        self._close = close

    async def offer(self, *, speaks: bool, repair: Repair | None = None, mix: bool = False) -> str:
        """The one SDP offer; with a microphone from the start, or with an empty sender. Without
        `repair` it offers what this browser offers. `mix`: and one m-line more.
        """
        given = [speaks, repair and repair._asdict(), mix]
        sdp: str = await self.page.evaluate("given => peer.offer(...given)", given)
        return sdp

    async def accept(self, answer: str) -> None:
        """The one SDP answer."""
        await self.page.evaluate("answer => peer.accept(answer)", answer)

    async def restart(self) -> str:
        """The offer of an ICE restart."""
        sdp: str = await self.page.evaluate("() => peer.restart()")
        return sdp

    async def silences(self) -> Silences:
        """How long the decoded sound was gone since the last call."""
        return Silences(*await self.page.evaluate("() => peer.silences()"))

    async def decoded(self) -> Decoded:
        """What the decoder of the track with the most packets did so far."""
        return Decoded(*await self.page.evaluate("() => peer.decoded()"))

    async def every_decoded(self) -> dict[str, Decoded]:
        """What the decoder of each track did so far, by the MID of its m-line."""
        told = await self.page.evaluate("() => peer.everyDecoded()")
        return {mid: Decoded(*fields) for mid, fields in told.items()}

    async def call_silent(self, peak: float) -> None:
        """Below this, of full scale, `silences` takes sound for silence."""
        await self.page.evaluate("peak => { peer.silentPeak = peak; }", peak)

    async def port(self) -> int:
        """The UDP port that the chosen path leaves from."""
        port: int = await self.page.evaluate("() => peer.port()")
        return port

    async def attach_microphone(self) -> None:
        """replaceTrack on m-line 0."""
        await self.page.evaluate("() => peer.attachMicrophone()")

    async def tones(self, among: Collection[int]) -> set[int]:
        """Which of these tones are in the decoded sound now."""
        frequencies = sorted(among)
        levels = await self.page.evaluate("hz => peer.levels(hz)", frequencies)
        return {hz for hz, level in zip(frequencies, levels, strict=True) if level > HEARD_DB}

    async def state(self) -> dict[str, Any]:
        """Connection and negotiation as the browser sees them."""
        state: dict[str, Any] = await self.page.evaluate("() => peer.state()")
        return state

    async def close(self) -> None:
        """Close the tab."""
        await self._close()


async def silence_around(peer: PagePeer) -> Silences:
    """What was missing since the last call, once the sound has been back for a while."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + 10.0
    longest_s = made_up_s = heard_s = 0.0
    steady_since = loop.time()
    while loop.time() < ends_at:
        await asyncio.sleep(0.1)
        seen = await peer.silences()
        longest_s = max(longest_s, seen.longest_s)
        made_up_s, heard_s = made_up_s + seen.made_up_s, heard_s + seen.heard_s
        if seen.present_s > 0.0:
            steady_since = loop.time()
        if loop.time() - steady_since >= STEADY_S:
            return Silences(longest_s, 0.0, made_up_s, heard_s)
    raise AssertionError(f"no steady sound within 10 s; it was gone for {longest_s:.3f} s")
