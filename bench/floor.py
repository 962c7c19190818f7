"""Builds and runs floor.c: what the kernel and the cipher cost without us."""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pylibsrtp import _binding

Work = Literal["all", "cipher", "send"]
BUILD_TIMEOUT_S = 60.0
RUN_TIMEOUT_S = 120.0


class FloorError(Exception):
    """The floor cannot be measured on this machine; the message says why."""


class Floor:
    """The C program, built into `folder`, with the first libcrypto that works.

    Raises `FloorError` when there is no C compiler or no usable libcrypto.
    """

    def __init__(self, folder: Path, ports: Sequence[int], header_bytes: int) -> None:
        self._ports = "\n".join(map(str, ports))
        self._header_bytes = header_bytes
        self._program = _built(folder)
        self.libcrypto = self._first_that_works()

    def cost_us(
        self, *, batch: int, payload_bytes: int, seconds: float, work: Work, segments: int = 1
    ) -> float:
        """CPU microseconds (user, system) of one packet; `segments` of them leave in one send."""
        return self._run(self.libcrypto, batch, payload_bytes, seconds, work, segments)

    def _first_that_works(self) -> str:
        complaints = []
        for library in _candidates():
            try:
                self._run(library, 64, 80, 0.0, "cipher")
            except FloorError as error:
                complaints.append(f"  {library}: {error}")
            else:
                return library
        raise FloorError("no libcrypto with AES-GCM can be loaded:\n" + "\n".join(complaints))

    def _run(
        self,
        library: str,
        batch: int,
        payload_bytes: int,
        seconds: float,
        work: Work,
        segments: int = 1,
    ) -> float:
        sizes = [str(batch), str(self._header_bytes), str(payload_bytes)]
        finished = subprocess.run(
            [str(self._program), library, *sizes, str(seconds), work, str(segments)],
            input=self._ports,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        if finished.returncode != 0:
            raise FloorError(finished.stderr.strip() or f"exit status {finished.returncode}")
        packets, cpu_us = finished.stdout.split()
        return float(cpu_us) / int(packets)


def _candidates() -> Iterator[str]:
    """The library inside the SRTP binding first: then both sides run the same cipher."""
    yield str(_binding.__file__)
    found = ctypes.util.find_library("crypto")
    if found:
        yield found
    yield from ("libcrypto.so.3", "libcrypto.so.1.1")


def _built(folder: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FloorError("no C compiler: install gcc or clang")
    source, program = Path(__file__).with_name("floor.c"), folder / "floor"
    # -rdynamic: the SRTP binding looks one of Python's objects up in the program that loads it.
    command = [compiler, "-O2", "-Wall", "-rdynamic", "-o", str(program), str(source), "-ldl"]
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
    )
    if finished.returncode != 0:
        raise FloorError(f"floor.c does not build:\n{finished.stderr.strip()}")
    return program
