"""Log lines: structlog in front, a bounded queue and one writer thread behind.

Whoever logs never waits. A line is rendered at once and queued; a thread writes it. When nobody
reads standard output the queue fills, further lines are dropped and counted, and media flows on.
The same event more than a few times a second is thinned out, and the next line that gets through
says how many were left out. Nothing logs per packet, at any level.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import Any, Literal

import structlog

from sfu.shell.redaction import redact

# About 3 MiB of lines: several seconds of the worst burst, and far less than what a stalled
# pipe could otherwise grow to.
QUEUED_LINES_MAX = 10_000
# How many lines one write takes together, so that a burst is not a system call each.
LINES_PER_WRITE_MAX = 64
# Each event may appear this often within the window; enough to see a burst begin, not to be one.
RATE_LINES = 20
RATE_WINDOW_S = 1.0
# Kinds of lines are named by literals in the source, so the table is small; this catches a mistake
# in that.
RATE_EVENTS_MAX = 1_000

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class LineWriter:
    """Writes queued lines to a file descriptor from its own thread. `write` never blocks."""

    def __init__(self, fd: int, *, lines_max: int = QUEUED_LINES_MAX) -> None:
        self.dropped = 0
        self.suppressed = 0  # of which there were too many of the same event
        self._fd = fd
        self._lines_max = lines_max
        self._lines: deque[bytes] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        # A daemon thread: one that is stuck in a write must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line without its newline; drop and count it when the queue is full."""
        if self._is_closing or len(self._lines) >= self._lines_max:
            self.dropped += 1
            return
        self._lines.append(line.encode("utf-8", "backslashreplace") + b"\n")
        self._wake.set()

    def note_suppressed(self) -> None:
        """One line was not even written to here."""
        self.suppressed += 1

    def close(self, timeout_s: float) -> None:
        """Write what is queued, for at most `timeout_s`; immediate when nothing is, idempotent."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._lines:
                self._write_some()
            if self._is_closing:
                return

    def _write_some(self) -> None:
        count = min(len(self._lines), LINES_PER_WRITE_MAX)
        data = b"".join(self._lines.popleft() for _ in range(count))
        try:
            # Not through sys.stdout: its lock, held by a stuck write, would block the exit.
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self.dropped += data.count(b"\n")


class RateLimit:
    """A structlog processor: at most `RATE_LINES` of one kind per window, errors included."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        on_suppressed: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._on_suppressed = on_suppressed
        self._seen: dict[str, tuple[float, int]] = {}  # event: (window's start, lines in it)

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Pass the event on, or raise `structlog.DropEvent`."""
        name = _kind(event)
        now = self._clock()
        start, lines = self._seen.get(name, (now, 0))
        if now - start >= RATE_WINDOW_S:
            if lines > RATE_LINES:
                event["suppressed"] = lines - RATE_LINES
            start, lines = now, 0
        if len(self._seen) >= RATE_EVENTS_MAX:
            self._seen.clear()
        self._seen[name] = (start, lines + 1)
        if lines >= RATE_LINES:
            self._on_suppressed()
            raise structlog.DropEvent
        return event


def _kind(event: MutableMapping[str, Any]) -> str:
    """What is counted together: a flood of one bug, or of one library, must not hide another."""
    names = ("event", "where", "method", "logger")
    return "/".join(str(event[name]) for name in names if name in event)


class _Level:
    """A structlog processor: drops what is below the level of now. Loggers keep their class from
    their first use on, so the level that may change cannot be in it."""

    def __init__(self) -> None:
        self.number = LEVELS["info"]

    def __call__(
        self, _logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Pass the event on, or raise `structlog.DropEvent`."""
        if LEVELS.get(method, LEVELS["error"]) < self.number:
            raise structlog.DropEvent
        return event


_level = _Level()


def set_level(level: str) -> None:
    """Write lines of this level and above from now on, in the whole process."""
    _level.number = LEVELS[level]
    # Libraries talk too much below warnings, and access lines of probes say nothing.
    logging.getLogger().setLevel(max(LEVELS[level], LEVELS["warning"]))


class _QueueLogger:
    """What structlog calls with the rendered line."""

    def __init__(self, writer: LineWriter) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = writer.write
        self.exception = self.fatal = self.msg = self.log = writer.write


class _Forward(logging.Handler):
    """Lines of libraries that use the standard library's logging (aiohttp, asyncio)."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(
            record.levelno,
            "library",
            logger=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


def configure(
    style: Literal["json", "console"],
    level: str,
    fd: int,
    *,
    colors: bool = False,
    addresses: Literal["redacted", "full"] = "redacted",
) -> LineWriter:
    """Send all logging of this process to `fd`; returns the writer, to be closed last."""
    writer = LineWriter(fd)
    render: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if style == "console":
        render = structlog.dev.ConsoleRenderer(colors=colors)
    structlog.configure(
        processors=[
            _level,
            RateLimit(on_suppressed=writer.note_suppressed),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact if addresses == "redacted" else _unchanged,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS["debug"]),
        logger_factory=lambda *_: _QueueLogger(writer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], force=True)
    set_level(level)
    return writer


def _unchanged(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return event
