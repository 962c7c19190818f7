"""Small real loads against a real daemon, and figures that agree with the daemon's own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from bench import report, running
from bench.loads.joins import join_cost
from bench.loads.room import listener_figures
from bench.loads.scene import phrasebook
from bench.loads.soak import memory_figures
from bench.options import LoadOptions
from bench.results import Run, Second
from bench.targets.rostrum import Hearing, Rostrum

ROOT = Path(__file__).resolve().parents[2]


def run(options: LoadOptions) -> Run:
    """In this process, unpinned; a machine that is busy otherwise does not matter to counts."""
    target = Rostrum(
        settings=[f"media.segmentation={options.segmentation}"],
        hearing=Hearing(options.mode, options.listener_lines, options.limits_kbps),
    )
    with (
        report.live_for("rostrum", quiet=True) as live,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(
            running.run_load(options, target, live, running.Cores(), phrasebook(options))
        )


@pytest.fixture(scope="module")
def room() -> Run:
    """20 listeners for 3 s."""
    return run(LoadOptions("room", listeners=20, duration_s=3.0, segmentation="off"))


@pytest.mark.slow
def test_listeners_get_what_the_daemon_says_it_sent(room: Run) -> None:
    """Packet by packet, but for those under way at the ends of the window."""
    figures = room.figures
    assert figures["lost"] == 0
    assert figures["forwarded_packets"] == pytest.approx(figures["received_packets"], abs=150)
    assert figures["forwarded_packets"] == room.counters["forwarded"]
    assert figures["silent_listeners"] == figures["gone_listeners"] == 0


@pytest.mark.slow
def test_the_measured_window_begins_so_long_after_the_last_join(room: Run) -> None:
    """Who has just joined is watched more closely, at a cost."""
    later = run(LoadOptions("room", listeners=2, duration_s=1.0, settle_s=6.0))
    waits_s = [-min(second.at_s for second in one.series.seconds) for one in (room, later)]
    assert waits_s[1] - waits_s[0] > 2.0  # of 4, looked at once a second


@pytest.mark.slow
def test_three_talkers_are_heard_at_fifty_packets_a_second_each(room: Run) -> None:
    """By each listener; the wire's rate follows from it."""
    figures = room.figures
    assert figures["packets_per_s_per_listener"] == pytest.approx(150, rel=0.06)
    assert 100 < figures["wire_kbps_per_listener"] < 200
    assert figures["server_cpu_percent"] > 0
    per_packet = 1e4 * figures["server_cpu_percent"] * room.meta.duration_s
    assert figures["cpu_us_per_packet"] == pytest.approx(
        per_packet / figures["forwarded_packets"], rel=1e-3
    )


@pytest.mark.slow
def test_every_received_packet_has_its_delay(room: Run) -> None:
    """The histogram holds as many as were received, and its percentiles are in order."""
    total = room.distributions["delay"].total
    assert total == pytest.approx(room.figures["received_packets"], abs=150)
    figures = room.figures
    assert 0 < figures["delay_p50_ms"] <= figures["delay_p99_ms"] <= figures["delay_p999_ms"]


@pytest.mark.slow
def test_joins_are_told_by_stage(room: Run) -> None:
    """Listeners alone: speakers have nobody to hear yet."""
    assert (room.joins.attempted, room.joins.connected, room.joins.failed) == (20, 20, 0)
    names = [stage.name for stage in room.joins.stages]
    assert names == ["offer", "answer", "ice", "dtls", "first_audio", "connected"]
    assert all(stage.count == 20 for stage in room.joins.stages)


@pytest.mark.slow
def test_the_series_covers_joining_and_measuring(room: Run) -> None:
    """Seconds before the window are negative, and nobody is missing within it."""
    seconds = room.series.seconds
    assert seconds[0].at_s < 0 < seconds[-1].at_s <= 3.5
    assert all(one.connected == 23 for one in seconds if one.at_s > 0)


@pytest.mark.slow
def test_turns_are_heard_from_their_beginning() -> None:
    """With a free slot for every speaker nothing of the first syllable is lost."""
    figures = run(
        LoadOptions("room", listeners=10, duration_s=5.0, talk="turns", segmentation="off")
    ).figures
    assert figures["turns_missed"] == 0
    assert figures["onset_lost_ms"] == 0
    assert 0 < figures["switch_p95_ms"] < 200


@pytest.mark.slow
def test_visitors_come_and_go() -> None:
    """And all of them have left at the end; those who stay lose nothing."""
    done = run(LoadOptions("churn", listeners=5, duration_s=2.0, churn_rate=10, stay_s=0.5))
    assert done.joins.connected == 20 and not done.joins.failures
    assert done.figures["lost"] == 0 and "cpu_us_per_packet" not in done.figures
    left = done.counters["left_removed"] + done.counters["left_dtls_closed"]
    assert left == 20


@pytest.mark.slow
def test_commands_are_answered_and_counted() -> None:
    """All of them with success."""
    figures = run(LoadOptions("control", speakers=0, listeners=5, duration_s=1.0)).figures
    assert figures["commands_per_s"] > 100
    assert figures["commands_refused"] == 0
    assert 0 < figures["command_p50_ms"] <= figures["command_p99_ms"]


@pytest.mark.slow
def test_commands_at_a_rate_are_that_many_beside_what_the_room_was_like_without() -> None:
    """Each is timed from when it was due."""
    options = LoadOptions("control", speakers=1, listeners=5, duration_s=2.0, rate=500.0)
    figures = run(options).figures
    assert 470 < figures["commands_per_s"] < 510
    assert figures["commands_refused"] == 0 and figures["lost"] == 0
    assert 0 < figures["command_p50_ms"] <= figures["command_p99_ms"]
    assert "calm_gap_p99_ms" in figures and "gap_p99_ms" in figures


def start(*words: str) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench.cli", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Until its progress says so."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"it ended before {text!r}")


def children(pid: int) -> list[int]:
    """Its child processes."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()]


@pytest.mark.slow
def test_a_stalled_load_tester_tells_no_figures(tmp_path: Path) -> None:
    """Exit status 3, the part named, and nothing to misread in the file."""
    file = tmp_path / "run.json"
    process = start("room", "--listeners", "5", "--duration", "3", "--json", str(file))
    wait_for_line(process, "measuring")
    wait_for_line(process, "packets/s")
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.6)
    os.kill(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "loop lag was" in err and "the load tester was the bottleneck" in err
    assert "added delay" not in out
    document: dict[str, Any] = json.loads(file.read_text())
    assert "delay_p99_ms" not in json.dumps(document)


@pytest.mark.slow
def test_an_interrupt_ends_the_daemon_as_well() -> None:
    """Ctrl-C: status 130, no process left."""
    process = start("room", "--listeners", "5", "--duration", "60")
    wait_for_line(process, "measuring")
    inside = children(process.pid)
    assert inside
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not [pid for pid in inside if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["room", "--listeners", "0", "--speakers", "0"], 2, "0 clients"),
        (["room", "--slots", "7"], 2, "1 to 6"),
        (["room", "--fail-if", "nonsense"], 2, "nonsense"),
        (["room", "--attach", "127.0.0.1:1", "--listeners", "1"], 2, "rostrum at 127.0.0.1:1"),
        (["dance"], 2, "invalid choice"),
    ],
)
def test_what_cannot_be_loaded_is_said_at_once(words: list[str], status: int, text: str) -> None:
    """One line, status 2, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == status
    assert text in done.stderr and "Traceback" not in done.stderr


def test_a_join_costs_what_the_calm_does_not_explain() -> None:
    """1 s of CPU for 1,000 joins, 5 us a packet and a tenth of a core that is always used."""
    spans = [
        (3.0, 3 * 0.1 + 3 * 10_000 * 5e-6, 30_000),
        (10.0, 10 * 0.1 + 10 * 60_000 * 5e-6 + 1.0, 600_000),
        (3.0, 3 * 0.1 + 3 * 110_000 * 5e-6, 330_000),
    ]
    assert join_cost(spans, 1_000)["cpu_ms_per_join"] == pytest.approx(1.0)
    silent = [(3.0, 0.03, 0), (10.0, 0.1 + 1.0, 0), (3.0, 0.03, 0)]
    assert join_cost(silent, 1_000)["cpu_ms_per_join"] == pytest.approx(1.0)
    assert join_cost(spans, 0) == {}


def test_memory_growth_is_a_slope_after_warming_up() -> None:
    """1 KiB a second; the leap at the beginning does not count."""
    seconds = [
        Second(float(at), 1, 0, 0.0, 0, server_rss_kib=10_000 + at if at >= 20 else at)
        for at in range(101)
    ]
    figures = memory_figures(seconds, 100.0)
    assert figures["rss_growth_kib_per_hour"] == pytest.approx(3_600)
    assert figures["rss_growth_ratio"] == pytest.approx(80 / 10_060)
    assert memory_figures(seconds[:1], 100.0) == {}


def test_a_listener_costs_what_the_further_ones_add() -> None:
    """And a share of everything that is there without listeners."""
    few, many = {"server_cpu_percent": 4.0}, {"server_cpu_percent": 10.0}
    assert listener_figures(few, 10, many, 40) == {
        "cpu_ms_per_s_per_listener": 2.5,
        "cpu_ms_per_s_per_further_listener": 2.0,
    }
    assert listener_figures({}, 10, many, 40) == listener_figures(few, 40, many, 40) == {}


@pytest.mark.slow
def test_listeners_behind_narrow_lines_are_told_one_by_one() -> None:
    """A line that is wide enough drops nothing, whatever the server does with the other."""
    done = run(
        LoadOptions("ladder", listeners=1, lines="1000,40", duration_s=5.0, open_s=1.0),
    )
    figures = done.figures
    assert figures["line_1000_settle_s"] < 1 and figures["line_1000_climb_s"] < 1
    assert 120 < figures["line_1000_carried_kbps"] < 250
    assert figures["line_40_carried_kbps"] < 42
    assert figures["other_tier_changes"] == 0
    assert [note.split(":")[0] for note in done.meta.notes if "kbit/s:" in note] == [
        "1000 kbit/s",
        "40 kbit/s",
    ]


@pytest.mark.slow
def test_listeners_of_a_mix_hear_it_on_one_track() -> None:
    """At a third of the packets, within the delay that a mixer may add, told by a decoder."""
    done = run(LoadOptions("room", listeners=8, duration_s=4.0, mode="mix", segmentation="off"))
    figures = done.figures
    assert figures["silent_listeners"] == 0 and figures["lost"] == 0
    assert figures["packets_per_s_per_listener"] == pytest.approx(50, rel=0.1)
    assert 60 < figures["mix_delay_p50_ms"] <= figures["mix_delay_p99_ms"]
    assert figures["mix_delay_p50_ms"] < 150
    assert 0 < figures["mixing_cpu_percent"] < figures["server_cpu_percent"]
    assert "joins_per_s" not in figures
