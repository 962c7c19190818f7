"""Progress while a load runs: a panel on a terminal, a line each few seconds elsewhere, or nothing.

Drawn by the thread that calls, once a second, because a second thread would take the load's
interpreter from it at any moment. What drawing costs is therefore part of what the load tester
watches in itself.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live as Panel
from rich.text import Text

from bench.figures import number
from bench.results import Second

# A log of a run should be readable: a line each second would be 7,200 of them in a long one.
PLAIN_INTERVAL_S = 5.0


class Live(Protocol):
    """What a load tells while it runs. Used as a context manager; leaving it ends the drawing."""

    def phase(self, text: str, expected: int | None = None) -> None:
        """A new phase: "joining", "measuring"; `expected`: how many clients will be connected."""

    def second(self, second: Second) -> None:
        """One second went by."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def live_for(target: str, *, quiet: bool = False, stream: TextIO | None = None) -> Live:
    """The progress that suits `stream` (standard error unless told otherwise)."""
    stream = stream or sys.stderr
    if quiet:
        return Silent()
    return OnTerminal(target, stream) if stream.isatty() else Lines(target, stream)


def describe(second: Second, expected: int | None) -> list[tuple[str, str]]:
    """(label, value) of what people want to see; what was not measured is left out."""
    joined = f"{second.connected}" + (f"/{expected}" if expected else "")
    told = [
        ("joined", joined),
        ("packets/s", number(second.packets_per_s)),
        ("delay p99", _with_unit(second.delay_p99_ms, "ms")),
        ("lost", str(second.lost)),
        ("server CPU", _with_unit(second.server_cpu_percent, "%")),
        ("CPU/packet", _with_unit(second.cpu_us_per_packet, "µs")),
        ("commands/s", _with_unit(second.commands_per_s, "")),
    ]
    return [(label, value) for label, value in told if value]


def _with_unit(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".rstrip()


class Silent:
    """`--quiet`: nothing at all."""

    def phase(self, text: str, expected: int | None = None) -> None:
        """Not shown."""

    def second(self, second: Second) -> None:
        """Not shown."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to end."""


class Lines(Silent):
    """No terminal: a line for each phase and every few seconds, flushed for those who follow."""

    def __init__(self, target: str, stream: TextIO) -> None:
        self._target = target
        self._stream = stream
        self._expected: int | None = None
        self._next_at_s = float("-inf")

    def phase(self, text: str, expected: int | None = None) -> None:
        """One line; the next second is told whatever its time."""
        self._expected = expected
        self._next_at_s = float("-inf")
        self._print(text)

    def second(self, second: Second) -> None:
        """A line, when the last one is old enough."""
        if second.at_s < self._next_at_s:
            return
        self._next_at_s = second.at_s + PLAIN_INTERVAL_S
        told = ", ".join(f"{label} {value}" for label, value in describe(second, self._expected))
        self._print(f"{second.at_s:+.0f} s: {told}")

    def _print(self, text: str) -> None:
        print(f"{self._target}: {text}", file=self._stream, flush=True)


class OnTerminal(Silent):
    """A panel of two lines that is drawn anew each second."""

    def __init__(self, target: str, stream: TextIO) -> None:
        self._target = target
        self._phase = "starting"
        self._expected: int | None = None
        self._second: Second | None = None
        self._panel = Panel(
            console=Console(file=stream, highlight=False, emoji=False),
            auto_refresh=False,
            transient=True,
        )

    def phase(self, text: str, expected: int | None = None) -> None:
        """Shown at once."""
        self._phase, self._expected = text, expected
        self._draw()

    def second(self, second: Second) -> None:
        """Shown at once."""
        self._second = second
        self._draw()

    def __enter__(self) -> Self:
        self._panel.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the panel, so that the summary begins where it was."""
        self._panel.stop()

    def _draw(self) -> None:
        text = Text.assemble((self._target, "bold"), f"  {self._phase}")
        if self._second is not None:
            text.append(f"  {self._second.at_s:+.0f} s\n", style="dim")
            for label, value in describe(self._second, self._expected):
                text.append(f"{label} ", style="dim")
                text.append(f"{value}   ", style="red" if label == "lost" and value != "0" else "")
        self._panel.update(text, refresh=True)
