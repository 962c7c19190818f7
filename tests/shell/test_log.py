"""The log: never blocks whoever logs, counts what it drops, thins out repetitions."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator

import pytest
import structlog

from sfu.shell import log
from sfu.shell.log import RATE_LINES, RATE_WINDOW_S, LineWriter, RateLimit


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose ends are closed afterwards, whoever closed them before."""
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            pass


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Logging is global to the process; put it back."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def read_all(fd: int) -> list[str]:
    """The lines in a pipe whose writing end is closed."""
    data = b""
    while chunk := os.read(fd, 65_536):
        data += chunk
    return data.decode().splitlines()


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1])
    for number in range(500):
        writer.write(f"line {number}")
    writer.close(timeout_s=5)
    os.close(pipe[1])
    assert read_all(pipe[0]) == [f"line {number}" for number in range(500)]
    assert writer.dropped == 0


def test_a_blocked_reader_costs_lines_but_never_time(pipe: tuple[int, int]) -> None:
    """Nobody reads: the pipe fills, then the queue; every further line is counted as dropped."""
    writer = LineWriter(pipe[1], lines_max=100)
    line = "x" * 1_000
    before = time.monotonic()
    for _ in range(5_000):
        writer.write(line)
    assert time.monotonic() - before < 1.0
    assert 4_000 < writer.dropped < 5_000
    before = time.monotonic()
    writer.close(timeout_s=0.05)
    assert time.monotonic() - before < 1.0


def test_a_closed_reader_is_counted_and_survived(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    writer = LineWriter(pipe[1])
    writer.write("nobody")
    writer.write("hears")
    writer.close(timeout_s=5)
    assert writer.dropped == 2


def test_lines_after_close_are_dropped(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1])
    writer.close(timeout_s=5)
    writer.close(timeout_s=5)
    writer.write("late")
    assert writer.dropped == 1


def test_repetitions_are_thinned_out_and_told() -> None:
    now = 100.0
    limit = RateLimit(clock=lambda: now)
    passed = 0
    for _ in range(RATE_LINES + 30):
        try:
            limit(None, "info", {"event": "busy"})
            passed += 1
        except structlog.DropEvent:
            pass
    assert passed == RATE_LINES
    assert limit(None, "info", {"event": "other"}) == {"event": "other"}
    now += RATE_WINDOW_S
    assert limit(None, "info", {"event": "busy"}) == {"event": "busy", "suppressed": 30}
    assert limit(None, "info", {"event": "busy"}) == {"event": "busy"}


@pytest.mark.parametrize(
    ("flood", "first"),
    [
        ({"event": "bug", "where": "timer"}, {"event": "bug", "where": "leave"}),
        (
            {"event": "bug", "where": "command", "method": "room.get"},
            {"event": "bug", "where": "command", "method": "room.close"},
        ),
        ({"event": "library", "logger": "aiohttp"}, {"event": "library", "logger": "asyncio"}),
    ],
)
def test_a_flood_of_one_kind_does_not_hide_the_first_of_another(
    flood: dict[str, str], first: dict[str, str]
) -> None:
    limit = RateLimit(clock=lambda: 0.0)
    for _ in range(RATE_LINES):
        limit(None, "error", dict(flood))
    with pytest.raises(structlog.DropEvent):
        limit(None, "error", dict(flood))
    assert limit(None, "error", dict(first)) == first


def test_json_lines_carry_level_time_and_traceback(pipe: tuple[int, int]) -> None:
    writer = log.configure("json", "info", pipe[1])
    logger = structlog.get_logger()
    logger.debug("unseen")
    logger.info("seen", port=7800, name="Zoë")
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("caught")
    logging.getLogger("aiohttp").warning("a library says %s", "this")
    writer.close(timeout_s=5)
    os.close(pipe[1])
    seen, caught, library = [json.loads(line) for line in read_all(pipe[0])]
    assert seen.items() >= {"event": "seen", "level": "info", "port": 7800, "name": "Zoë"}.items()
    assert seen["timestamp"].endswith("Z")
    assert "ValueError: broken" in caught["exception"]
    assert (library["event"], library["logger"]) == ("library", "aiohttp")
    assert library["message"] == "a library says this"


def test_console_lines_are_plain_without_a_terminal(pipe: tuple[int, int]) -> None:
    writer = log.configure("console", "debug", pipe[1])
    structlog.get_logger().debug("hello", port=7800)
    writer.close(timeout_s=5)
    os.close(pipe[1])
    (line,) = read_all(pipe[0])
    assert "hello" in line and "port=7800" in line and "\x1b" not in line


def test_lines_left_out_are_counted_and_addresses_are_shortened(pipe: tuple[int, int]) -> None:
    writer = log.configure("json", "info", pipe[1])
    for _ in range(RATE_LINES + 7):
        structlog.get_logger().info("seen", text="from 203.0.113.7")
    try:
        raise ValueError("of 203.0.113.8")
    except ValueError:
        structlog.get_logger().exception("caught")
    writer.close(timeout_s=5)
    os.close(pipe[1])
    lines = [json.loads(line) for line in read_all(pipe[0])]
    assert writer.suppressed == 7
    assert lines[0]["text"] == "from 203.0.113.x"
    assert "203.0.113.x" in lines[-1]["exception"] and "203.0.113.8" not in str(lines)


def test_addresses_are_written_in_full_where_that_is_asked_for(pipe: tuple[int, int]) -> None:
    writer = log.configure("console", "info", pipe[1], addresses="full")
    structlog.get_logger().info("seen", text="203.0.113.7")
    writer.close(timeout_s=5)
    os.close(pipe[1])
    assert "203.0.113.7" in read_all(pipe[0])[0]
