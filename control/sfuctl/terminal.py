"""Drawing in place on a terminal with plain ANSI, and what its user does: keys, resizes."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO

from control.sfuctl.screen import fitted

# The alternate screen, so that what was there before comes back; the cursor would only blink.
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_END_OF_LINE: Final = "\x1b[K"
_REST: Final = "\x1b[J"
_QUIT: Final = b"q"
# What a terminal that does not tell its size has.
_COLUMNS, _ROWS = 80, 24


class Terminal:
    """A window to draw in, as `with`. `on_quit` is told of `q` and of the end of the input,
    `on_resize` of a new size. To be used within a running event loop."""

    def __init__(
        self,
        source: TextIO,
        target: TextIO,
        on_quit: Callable[[], None],
        on_resize: Callable[[], None],
    ) -> None:
        self._source = source.fileno()
        self._target = target
        self._on_quit = on_quit
        self._on_resize = on_resize
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._settings = termios.tcgetattr(self._source)
        tty.setcbreak(self._source)
        self._loop.add_reader(self._source, self._read)
        self._loop.add_signal_handler(signal.SIGWINCH, self._on_resize)
        self._write(_ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.remove_signal_handler(signal.SIGWINCH)
        self._loop.remove_reader(self._source)
        self._write(_LEAVE)
        termios.tcsetattr(self._source, termios.TCSADRAIN, self._settings)

    def draw(self, lines: list[str]) -> None:
        """Put these lines in the place of what was drawn before."""
        try:
            columns, rows = os.get_terminal_size(self._target.fileno())
        except OSError:
            columns, rows = _COLUMNS, _ROWS
        shown = fitted(lines, columns or _COLUMNS, rows or _ROWS)
        text = "\r\n".join(f"{line}{_END_OF_LINE}" for line in shown)
        self._write(f"{_HOME}{text}{_REST}")

    def _read(self) -> None:
        keys = os.read(self._source, 64)
        if not keys or _QUIT in keys.lower():
            self._loop.remove_reader(self._source)
            self._on_quit()

    def _write(self, text: str) -> None:
        self._target.write(text)
        self._target.flush()


def is_terminal(source: TextIO, target: TextIO) -> bool:
    """Whether there is something to draw on, and keys to read."""
    return source.isatty() and target.isatty()
