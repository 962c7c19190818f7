"""`sfu serve` as a process on ports that the kernel chooses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

FREE_PORTS = ("media.listen=127.0.0.1:0", "control.listen=127.0.0.1:0", "http.listen=127.0.0.1:0")


def sfu_command(command: str, *overrides: str) -> list[str]:
    """The command line of `sfu command --set ...`."""
    settings = [part for override in overrides for part in ("--set", override)]
    return [sys.executable, "-m", "sfu.shell.cli", command, *settings]


class DaemonProcess:
    """Started and listening; `with` makes sure that nothing of it stays."""

    def __init__(self, *overrides: str, config: Path | None = None) -> None:
        file = ["--config", str(config)] if config else []
        self.process = subprocess.Popen(
            [*sfu_command("serve", *FREE_PORTS, *overrides), *file],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.before: list[dict[str, Any]] = []  # the lines that were read on the way
        self.listening = self.read_until("listening")

    def __enter__(self) -> DaemonProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def read_until(self, event: str) -> dict[str, Any]:
        """The next log line with this event."""
        assert self.process.stdout is not None and self.process.stderr is not None
        for text in self.process.stdout:
            line: dict[str, Any] = json.loads(text)
            if line["event"] == event:
                return line
            self.before.append(line)
        raise AssertionError(f"it ended before {event!r}: {self.process.stderr.read()}")

    def signal(self, *numbers: signal.Signals) -> None:
        """Send signals one right after the other."""
        for number in numbers:
            os.kill(self.process.pid, number)
