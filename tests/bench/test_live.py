"""Progress suits what it is printed to, and silence is silent."""

from __future__ import annotations

import io
import time

from bench.report.live import Lines, OnTerminal, Silent, describe, live_for
from bench.results import Second


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def second(at_s: float, **fields: float) -> Second:
    """With everything that is always measured."""
    return Second(at_s=at_s, connected=150, joining=50, packets_per_s=22_500.0, lost=0, **fields)


def test_quiet_says_nothing_even_on_a_terminal() -> None:
    """Nor does leaving it."""
    stream = Terminal()
    with live_for("rostrum", quiet=True, stream=stream) as live:
        assert isinstance(live, Silent)
        live.phase("joining", 200)
        live.second(second(0.0))
    assert stream.getvalue() == ""


def test_elsewhere_a_line_every_few_seconds() -> None:
    """Plain text: no escape sequence reaches a log file."""
    stream = io.StringIO()
    with live_for("rostrum", stream=stream) as live:
        assert isinstance(live, Lines)
        live.phase("joining", 200)
        for at in range(-2, 10):
            live.second(second(float(at), delay_p99_ms=0.84, server_cpu_percent=41.0))
        live.phase("measuring", 200)
    assert stream.getvalue().splitlines() == [
        "rostrum: joining",
        *(
            f"rostrum: {at} s: joined 150/200, packets/s 22\u202f500, delay p99 0.840 ms, lost 0, "
            "server CPU 41 %"
            for at in ("-2", "+3", "+8")
        ),
        "rostrum: measuring",
    ]


def test_on_a_terminal_a_panel_is_drawn_anew() -> None:
    """Phase and values; nothing of it stays when it ends."""
    stream = Terminal()
    with live_for("rostrum", stream=stream) as live:
        assert isinstance(live, OnTerminal)
        live.phase("measuring", 200)
        live.second(second(3.0, delay_p99_ms=0.84, cpu_us_per_packet=3.4))
        shown = stream.getvalue()
    for word in ("rostrum", "measuring", "150/200", "0.840 ms", "3.40 µs"):
        assert word in shown
    assert stream.getvalue().endswith("\x1b[?25h") or "\x1b[2K" in stream.getvalue()[len(shown) :]


def test_what_was_not_measured_is_left_out() -> None:
    """Rather than shown as zero."""
    labels = [label for label, _ in describe(second(0.0), None)]
    assert labels == ["joined", "packets/s", "lost"]
    assert ("joined", "150") in describe(second(0.0), None)


def test_drawing_is_cheap() -> None:
    """It happens on the thread that sends and measures, where 10 ms would be too late a send."""
    with live_for("rostrum", stream=Terminal()) as live:
        live.phase("measuring", 200)
        took_s = []
        for at in range(20):
            began = time.thread_time()
            live.second(second(float(at), delay_p99_ms=0.84, server_cpu_percent=41.0))
            took_s.append(time.thread_time() - began)
    assert sorted(took_s)[len(took_s) // 2] < 0.005
