"""Runs a program under what a systemd unit forbids, where no systemd runs.

    python -m tests.deploy.confined rostrum.service -- PROGRAM ARGUMENTS...

Of the unit's settings: NoNewPrivileges, MemoryDenyWriteExecute, RestrictAddressFamilies and
SystemCallFilter, by the kernel means that systemd uses. What is refused fails with EPERM, as there.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from tests.deploy.units import settings

LIBSECCOMP: Final = "libseccomp.so.2"
_ALLOW: Final = 0x7FFF_0000
_EPERM: Final = 0x0005_0000 | 1
_COMPARE_EQUAL: Final = 4
_UNKNOWN: Final = -1
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_MDWE: Final = 65
# Which address families a socket may have is its first argument's to say.
_FAMILY_CALLS: Final = ("socket",)


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp` of libseccomp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def allowed_calls(filters: Iterable[str]) -> set[str]:
    """The system calls that these values of SystemCallFilter= leave, in their order."""
    allowed: set[str] = set()
    for value in filters:
        names = value.removeprefix("~").split()
        calls = {call for name in names for call in _calls_of(name)}
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed | set(_calls_of("@default"))


def _calls_of(name: str) -> Iterator[str]:
    """A call is itself; a set is asked of systemd, down to the calls in it."""
    if not name.startswith("@"):
        yield name
        return
    words = ["systemd-analyze", "syscall-filter", "--no-pager", name]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines()[1:]:
        member = line.strip()
        if member and not member.startswith("#"):
            yield from _calls_of(member)


def confine(unit: str) -> None:
    """Put the calling process, and all that it starts, under the unit. OSError when it cannot."""
    values = settings(unit)
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    calls = allowed_calls(values["SystemCallFilter"])
    families = [int(getattr(socket, name)) for name in values["RestrictAddressFamilies"][0].split()]
    if values.get("MemoryDenyWriteExecute") == ["yes"]:
        _check(libc.prctl(_PR_SET_MDWE, 1, 0, 0, 0), "deny writable code")
    _filter(calls, families)


def _filter(calls: set[str], families: Iterable[int]) -> None:
    library = ctypes.CDLL(LIBSECCOMP, use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_EPERM))
    for call in sorted(calls):
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number == _UNKNOWN:
            continue
        if call not in _FAMILY_CALLS:
            library.seccomp_rule_add_array(context, _ALLOW, number, 0, None)
            continue
        for family in families:
            comparison = _Comparison(0, _COMPARE_EQUAL, family, 0)
            library.seccomp_rule_add_array(context, _ALLOW, number, 1, ctypes.byref(comparison))
    _check(library.seccomp_load(context), "load the filter")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno() or -result, what)


def main() -> None:
    """Command line entry; does not return."""
    unit, dashes, *command = sys.argv[1:]
    assert dashes == "--"
    confine(unit)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
