"""Server processes: start one in its place, wait until it is ready, stop it, read what it uses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from bench.targets import Place, TargetError

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_POLL_S: Final = 0.02
# What a server gets to leave in peace after SIGTERM.
_STOP_WITHIN_S: Final = 5.0
# Who was killed before its child asked for the signal would never cause it.
_IF_STILL_WANTED: Final = 'test "$PPID" = "$0" && exec "$@"'
# Of a log: enough for the reason of a failed start.
_TAIL_BYTES: Final = 2_000


@dataclass(frozen=True)
class Usage:
    """What processes have used since their start, and hold now; subtract two for a time between."""

    user_s: float
    system_s: float
    rss_kib: int
    threads: int
    voluntary_switches: int  # of the threads that still live
    involuntary_switches: int

    @property
    def cpu_s(self) -> float:
        """CPU seconds, user and system; the kernel tells them in steps of 10 ms."""
        return self.user_s + self.system_s


def read_usage(pids: Iterable[int]) -> Usage:
    """The sum over processes. Raises TargetError when one of them is gone."""
    each = [_usage_of(pid) for pid in pids]
    return Usage(
        user_s=sum(one.user_s for one in each),
        system_s=sum(one.system_s for one in each),
        rss_kib=sum(one.rss_kib for one in each),
        threads=sum(one.threads for one in each),
        voluntary_switches=sum(one.voluntary_switches for one in each),
        involuntary_switches=sum(one.involuntary_switches for one in each),
    )


def read_pss_kib(pids: Iterable[int]) -> int:
    """Memory with shared pages divided among their users: the fair figure, but dear to read.

    The kernel walks the whole address space, so not while latency is measured. Raises TargetError.
    """
    return sum(_kib(_fields(pid, f"/proc/{pid}/smaps_rollup"), "Pss") for pid in pids)


def _usage_of(pid: int) -> Usage:
    status = _fields(pid, f"/proc/{pid}/status")
    # Field 2 is the name in brackets, which may contain anything; 14 and 15 are the times.
    times = _read(pid, f"/proc/{pid}/stat").rpartition(")")[2].split()
    voluntary, involuntary = _switches(pid)
    return Usage(
        user_s=int(times[11]) / _TICKS_PER_S,
        system_s=int(times[12]) / _TICKS_PER_S,
        rss_kib=_kib(status, "VmRSS"),
        threads=int(status["Threads"]),
        voluntary_switches=voluntary,
        involuntary_switches=involuntary,
    )


def _switches(pid: int) -> tuple[int, int]:
    """Of all threads: the process's own file tells only the first one's."""
    voluntary = involuntary = 0
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(TargetError):  # a thread that ended meanwhile
            status = _fields(pid, f"{thread}/status")
            voluntary += int(status["voluntary_ctxt_switches"])
            involuntary += int(status["nonvoluntary_ctxt_switches"])
    return voluntary, involuntary


def _fields(pid: int, path: str) -> dict[str, str]:
    """`Name: value` lines."""
    pairs = (line.partition(":") for line in _read(pid, path).splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _kib(fields: dict[str, str], name: str) -> int:
    return int(fields.get(name, "0 kB").removesuffix(" kB"))


def _read(pid: int, path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise TargetError(f"the server's process {pid} has ended") from None
    except PermissionError:
        raise TargetError(f"may not read {path}: run as the server's user or as root") from None


def command_at(place: Place, arguments: Sequence[str]) -> list[str]:
    """The command line that runs `arguments` in that place, as the process itself: the same pid.

    It may open as many files as this process may at most, and does not outlive it.
    """
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [
        *("setpriv", "--pdeathsig", "KILL", "sh", "-c", _IF_STILL_WANTED, str(os.getpid())),
        *(["ip", "netns", "exec", place.namespace] if place.namespace else []),
        *(["taskset", "--cpu-list", str(place.cpu)] if place.cpu is not None else []),
        *("prlimit", f"--nofile={files_max}:{files_max}"),
        *arguments,
    ]


class ServerProcess:
    """A running server; what it prints goes to a file."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log

    @classmethod
    async def start(
        cls, name: str, place: Place, arguments: Sequence[str], *, log: Path, folder: Path
    ) -> Self:
        """Run it in `folder`; raises TargetError when the program cannot be started."""
        command = command_at(place, arguments)
        with log.open("wb") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    cwd=folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                )
            except OSError as error:
                raise TargetError(f"cannot start {name}: {command[0]}: {error.strerror}") from None
        return cls(process, name, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def log_text(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    async def wait_until(self, is_ready: Callable[[], bool], *, within_s: float) -> None:
        """Look again and again; raises TargetError, with its last words, when it ends or hangs."""
        try:
            async with asyncio.timeout(within_s):
                while not is_ready():
                    if self._process.returncode is not None:
                        raise TargetError(f"{self._name} did not start: {self._last_words()}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            waited = f"{self._name} was not ready within {within_s:.0f} s"
            raise TargetError(f"{waited}: {self._last_words()}") from None

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not help. Idempotent."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _last_words(self) -> str:
        lines = self.log_text()[-_TAIL_BYTES:].split("\n")
        return (
            " / ".join([line.strip() for line in lines if line.strip()][-3:]) or "it said nothing"
        )
