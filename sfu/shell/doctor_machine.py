"""What `sfu doctor` reads of the machine itself: clock, cores, memory, limits."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sfu.shell.finding import Finding, Level

# Reading any other takes a system call or a slow device; the daemon reads its clock for each batch.
FAST_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")
# A clock that is older than this program is wrong, and certificates made by it are not valid yet.
EARLIEST_WALL = 1_767_225_600  # 2026-01-01
# One connection for each backend, operators and the files of the process, with room to spare.
FILES_MIN = 2_048
# The process with its libraries takes 120 MB; a full house of 2,000 listeners some 300 MB more.
MEMORY_MIN_BYTES = 512 * 1024**2
# adjtimex(2): the kernel's clock is not kept by anybody.
_STA_UNSYNC = 0x0040
# Offsets in `struct timex` on 64-bit Linux; the rest of it is not looked at.
_TIMEX_BYTES = 208
_TIMEX_STATUS = 40


def _is_synchronised() -> bool | None:
    """What the kernel says of its clock; None where it cannot be asked."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
            return None
    except AttributeError:
        return None
    status = int.from_bytes(buffer.raw[_TIMEX_STATUS : _TIMEX_STATUS + 4], "little")
    return not status & _STA_UNSYNC


def _open_files() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


@dataclass(frozen=True)
class Machine:
    """Where facts come from: the files below `root`, and calls that a test can stand in for."""

    root: Path = Path("/")
    wall: Callable[[], float] = time.time
    is_synchronised: Callable[[], bool | None] = _is_synchronised
    cores: Callable[[], int] = lambda: len(os.sched_getaffinity(0))
    open_files: Callable[[], tuple[int, int]] = _open_files
    architecture: Callable[[], str] = platform.machine

    def text(self, path: str) -> str | None:
        """A small file of /proc or /sys, without the last line's end; None when there is none."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return None


def check_clock(machine: Machine) -> Iterator[Finding]:
    """Whether times in events, logs and certificates mean something, and what reading it costs."""
    if machine.wall() < EARLIEST_WALL:
        yield Finding(
            "clock",
            Level.FAULT,
            "the clock is years behind: clients refuse certificates made by it",
            "set it, and run an NTP client such as systemd-timesyncd or chrony",
        )
    elif machine.is_synchronised() is False:
        yield Finding(
            "clock",
            Level.ADVICE,
            "nothing keeps the clock: times in events and logs will drift",
            "run an NTP client such as systemd-timesyncd or chrony",
        )
    else:
        yield Finding("clock", Level.OK, "it is kept in step")
    source = machine.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    if source is not None and source not in FAST_CLOCKS:
        yield Finding(
            "clock",
            Level.ADVICE,
            f"the kernel's clock source is {source}: each look at the clock is slow",
            "boot with clocksource=tsc where the processor's counter is constant",
        )


def check_cores(machine: Machine, *, is_mixing: bool) -> Iterator[Finding]:
    """Whether the loop and the mixer have a core each, all the time."""
    cores, wanted = machine.cores(), 2 if is_mixing else 1
    if cores < wanted:
        yield Finding(
            "cores",
            Level.ADVICE,
            "one core: what mixing takes is taken from the packets",
            "give it two, or set media.mix = false",
        )
    else:
        yield Finding("cores", Level.OK, f"{cores} to run on")
    quota = _cpu_quota(machine)
    if quota is not None and quota < wanted:
        yield Finding(
            "cores",
            Level.ADVICE,
            f"a control group allows {quota:.2g} cores, and stops all threads beyond that",
            "allow two whole cores, or remove the limit (cpu.max, CPUQuota=)",
        )


def check_speed(machine: Machine) -> Iterator[Finding]:
    """What makes the cores that there are slow."""
    info = machine.text("proc/cpuinfo")
    if info is not None and not _has_aes(info):
        yield Finding(
            "cores",
            Level.ADVICE,
            "no AES instructions: SRTP costs several times as much",
            "choose another machine, or a virtual CPU model that passes them on",
        )
    governor = machine.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor == "powersave":
        yield Finding(
            "cores",
            Level.ADVICE,
            "the governor is powersave: packets wait for the clock rate to rise",
            "cpupower frequency-set -g performance",
        )


def check_memory(machine: Machine) -> Iterator[Finding]:
    """Whether a full house fits."""
    bounds = [bound for bound in (_memory_total(machine), _memory_limit(machine)) if bound]
    if not bounds:
        return
    least = min(bounds)
    text = f"{least / 1024**2:,.0f} MiB"
    if least < MEMORY_MIN_BYTES:
        fix = f"give it {MEMORY_MIN_BYTES // 1024**2} MiB or more, or lower limits.max_participants"
        yield Finding("memory", Level.ADVICE, text, fix)
    else:
        yield Finding("memory", Level.OK, text)


def check_limits(machine: Machine) -> Iterator[Finding]:
    """Whether as many backends and operators may connect as the daemon takes."""
    soft, _hard = machine.open_files()
    if 0 <= soft < FILES_MIN:
        yield Finding(
            "limits",
            Level.ADVICE,
            f"{soft:,} open files: fewer connections than it takes",
            f"ulimit -n {FILES_MIN}, or LimitNOFILE= of its unit",
        )
    else:
        yield Finding("limits", Level.OK, "enough open files")


def _has_aes(info: str) -> bool:
    """In x86's `flags` or ARM's `Features`; other architectures are not judged."""
    words = [
        line.partition(":")[2].split()
        for line in info.splitlines()
        if line.lower().startswith(("flags", "features"))
    ]
    return not words or "aes" in words[0]


def _cpu_quota(machine: Machine) -> float | None:
    """How many cores the process's control group allows (version 2), None when it does not say."""
    text = machine.text(f"sys/fs/cgroup/{_group(machine)}/cpu.max")
    quota, _, period = (text or "max").partition(" ")
    return None if quota == "max" or not period else int(quota) / int(period)


def _memory_limit(machine: Machine) -> int | None:
    text = machine.text(f"sys/fs/cgroup/{_group(machine)}/memory.max")
    return int(text) if text and text.isdigit() else None


def _memory_total(machine: Machine) -> int | None:
    for line in (machine.text("proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) * 1024
    return None


def _group(machine: Machine) -> str:
    """The process's control group, below where they are mounted."""
    for line in (machine.text("proc/self/cgroup") or "").splitlines():
        if line.startswith("0::"):
            return line.removeprefix("0::/")
    return ""
