"""`sfu doctor`: looks at a machine and a configuration and says what to fix.

A *fault* keeps the daemon from serving; *advice* is what works, but not as well as it should. Each
finding is one line, and a way to mend it where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sfu.shell.config import Config
from sfu.shell.doctor_machine import (
    Machine,
    check_clock,
    check_cores,
    check_limits,
    check_memory,
    check_speed,
)
from sfu.shell.doctor_network import (
    check_announced,
    check_buffers,
    check_certificate,
    check_listening,
    check_ready,
)
from sfu.shell.finding import Finding, Level


def examine(
    config: Config, folder: Path, machine: Machine, *, is_running: bool
) -> Iterator[Finding]:
    """Everything, in the order in which one would mend it.

    `folder` is where the configuration's files are. With `is_running` a daemon of this
    configuration is asked whether it is ready; otherwise its ports are tried, and what was bound
    for that is closed again.
    """
    if is_running:
        yield from check_ready(config)
    else:
        yield from check_listening(config)
    yield from check_announced(config, is_running=is_running)
    yield from check_buffers(machine)
    yield from check_certificate(config, folder, machine.wall())
    yield from check_clock(machine)
    yield from check_cores(machine, is_mixing=config.media.mix)
    yield from check_speed(machine)
    yield from check_memory(machine)
    yield from check_limits(machine)


def is_sound(findings: Iterable[Finding]) -> bool:
    """Whether nothing keeps the daemon from serving."""
    return all(finding.level is not Level.FAULT for finding in findings)


def lines(finding: Finding) -> str:
    """A finding as text for people."""
    text = f"{finding.level.value:<7} {finding.check:<12} {finding.text}"
    return f"{text}\n{'':21}fix: {finding.fix}" if finding.fix else text
