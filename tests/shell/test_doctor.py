"""`sfu doctor`: what is wrong with a machine is told, with what mends it."""

from __future__ import annotations

import datetime
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sfu.shell.config import Config, load
from sfu.shell.doctor_machine import (
    EARLIEST_WALL,
    FILES_MIN,
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
    comes_back,
)
from sfu.shell.endpoint import Endpoint
from sfu.shell.finding import Finding, Level
from sfu.shell.udp import BUFFER_BYTES
from sfu.transport.candidates import Candidate
from tests.shell.process import DaemonProcess, sfu_command

GOOD_FILES = {
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu aes avx2\n",
    "proc/meminfo": "MemTotal:        8000000 kB\nMemFree: 1 kB\n",
    "proc/self/cgroup": "0::/system.slice/rostrum.service\n",
    "proc/sys/net/core/rmem_max": f"{BUFFER_BYTES}\n",
    "proc/sys/net/core/wmem_max": f"{BUFFER_BYTES}\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/fs/cgroup/system.slice/rostrum.service/cpu.max": "max 100000\n",
    "sys/fs/cgroup/system.slice/rostrum.service/memory.max": "max\n",
}


def machine(
    root: Path,
    files: dict[str, str] | None = None,
    *,
    wall: float = EARLIEST_WALL + 1.0,
    is_synchronised: bool | None = True,
    cores: int = 2,
    open_files: int = FILES_MIN,
) -> Machine:
    """A machine that is as it should be, but for what is given."""
    for name, text in {**GOOD_FILES, **(files or {})}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Machine(
        root=root,
        wall=lambda: wall,
        is_synchronised=lambda: is_synchronised,
        cores=lambda: cores,
        open_files=lambda: (open_files, open_files),
    )


def every(one: Machine) -> list[Finding]:
    """All that is looked at on the machine itself."""
    return [
        *check_clock(one),
        *check_cores(one, is_mixing=True),
        *check_speed(one),
        *check_memory(one),
        *check_limits(one),
        *check_buffers(one),
    ]


def troubles(findings: Iterable[Finding]) -> list[tuple[str, Level]]:
    """What is not right; each says what mends it."""
    found = [finding for finding in findings if finding.level is not Level.OK]
    assert all(finding.fix for finding in found), found
    return [(finding.check, finding.level) for finding in found]


def bound(kind: socket.SocketKind) -> socket.socket:
    """A socket of this machine's on a port of its own."""
    found = socket.socket(socket.AF_INET, kind)
    found.bind(("127.0.0.1", 0))
    return found


def test_a_good_machine_has_nothing_to_mend(tmp_path: Path) -> None:
    assert troubles(every(machine(tmp_path))) == []


@pytest.mark.parametrize(
    ("name", "text", "check"),
    [
        ("proc/cpuinfo", "processor : 0\nflags : fpu sse2\n", "cores"),
        ("proc/cpuinfo", "processor : 0\nFeatures : fp asimd\n", "cores"),
        ("proc/meminfo", "MemTotal: 200000 kB\n", "memory"),
        ("proc/sys/net/core/rmem_max", "212992\n", "buffers"),
        ("proc/sys/net/core/wmem_max", "212992\n", "buffers"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n", "clock"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n", "cores"),
        ("sys/fs/cgroup/system.slice/rostrum.service/cpu.max", "150000 100000\n", "cores"),
        ("sys/fs/cgroup/system.slice/rostrum.service/memory.max", "100000000\n", "memory"),
    ],
)
def test_what_a_file_of_the_kernel_tells(name: str, text: str, check: str, tmp_path: Path) -> None:
    assert troubles(every(machine(tmp_path, {name: text}))) == [(check, Level.ADVICE)]


def test_what_a_machine_does_not_tell_is_not_held_against_it(tmp_path: Path) -> None:
    bare = Machine(root=tmp_path, is_synchronised=lambda: None, cores=lambda: 2)
    assert troubles([*check_clock(bare), *check_cores(bare, is_mixing=True)]) == []
    assert list(check_speed(bare)) == []
    assert list(check_memory(bare)) == []


def test_what_calls_tell(tmp_path: Path) -> None:
    behind = machine(tmp_path, wall=EARLIEST_WALL - 1.0)
    assert troubles(every(behind)) == [("clock", Level.FAULT)]
    assert troubles(every(machine(tmp_path, is_synchronised=False))) == [("clock", Level.ADVICE)]
    assert troubles(every(machine(tmp_path, cores=1))) == [("cores", Level.ADVICE)]
    assert troubles(every(machine(tmp_path, open_files=1_024))) == [("limits", Level.ADVICE)]


def test_one_core_is_enough_where_nothing_is_mixed(tmp_path: Path) -> None:
    assert troubles(check_cores(machine(tmp_path, cores=1), is_mixing=False)) == []


def test_this_machine_can_be_looked_at() -> None:
    assert {"clock", "cores", "limits", "buffers"} <= {one.check for one in every(Machine())}


def with_ports(media: int, control: int, http: int, *overrides: str) -> Config:
    return load(
        None,
        [
            f"media.listen=127.0.0.1:{media}",
            f"control.listen=127.0.0.1:{control}",
            f"http.listen=127.0.0.1:{http}",
            *overrides,
        ],
    )


def test_ports_that_can_be_had_are_left_free() -> None:
    with bound(socket.SOCK_DGRAM) as media, bound(socket.SOCK_STREAM) as control:
        free = media.getsockname()[1], control.getsockname()[1]
    config = with_ports(*free, 0)
    assert troubles(check_listening(config)) == []
    assert troubles(check_listening(config)) == []


@pytest.mark.parametrize("taken", ["media", "control", "http"])
def test_a_port_that_is_taken_is_a_fault(taken: str) -> None:
    kind = socket.SOCK_DGRAM if taken == "media" else socket.SOCK_STREAM
    with bound(kind) as other:
        if kind is socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        media, control, http = (
            port if name == taken else 0 for name in ("media", "control", "http")
        )
        config = with_ports(media, control, http)
        (finding,) = (one for one in check_listening(config) if one.level is not Level.OK)
    assert finding.level is Level.FAULT
    assert finding.text.startswith(f"{taken}.listen: cannot listen on 127.0.0.1:{port}: another")
    assert "--running" in finding.fix


def test_an_address_of_this_machine_leads_here_and_loopback_is_advised_against() -> None:
    found = list(check_announced(with_ports(7800, 0, 0), is_running=False))
    assert found[0] == Finding("announce", Level.OK, "127.0.0.1:7800 is this machine's")
    assert troubles(found) == [("announce", Level.ADVICE)]


def test_an_address_elsewhere_cannot_be_judged_while_the_daemon_has_the_port() -> None:
    config = with_ports(7800, 0, 0, 'media.announce=["203.0.113.7:443"]')
    found = next(iter(check_announced(config, is_running=True)))
    assert found.level is Level.ADVICE
    assert "443" in found.text
    assert "7800" in found.fix


def test_a_name_that_leads_nowhere_is_a_fault() -> None:
    config = with_ports(7800, 0, 0, 'media.announce=["media.invalid"]')
    assert troubles(check_announced(config, is_running=False)) == [("announce", Level.FAULT)]


def test_what_comes_back_is_told_from_what_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.shell.doctor_network.RETURN_WITHIN_S", 0.05)
    with bound(socket.SOCK_DGRAM) as reserved, bound(socket.SOCK_DGRAM) as other:
        here = Endpoint("127.0.0.1", reserved.getsockname()[1])
        elsewhere = other.getsockname()[1]
        reserved.close()
        assert comes_back(Candidate("1", 1, *here), here)
        assert not comes_back(Candidate("1", 1, "127.0.0.1", elsewhere), here)


def certificate(folder: Path, days: float) -> None:
    """control.pem, good for so many days from the epoch of `wall`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rostrum")])
    start = datetime.datetime.fromtimestamp(EARLIEST_WALL - 86_400, datetime.UTC)
    end = datetime.datetime.fromtimestamp(EARLIEST_WALL + days * 86_400, datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    (folder / "control.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(
    ("days", "level"),
    [(90, Level.OK), (13, Level.ADVICE), (-0.5, Level.FAULT), (None, Level.FAULT)],
)
def test_the_control_certificate_must_last(
    days: float | None, level: Level, tmp_path: Path
) -> None:
    if days is not None:
        certificate(tmp_path, days)
    config = load(None, ["control.tls.certificate=control.pem", "control.tls.key=control.key"])
    (finding,) = check_certificate(config, tmp_path, EARLIEST_WALL)
    assert finding.level is level


def test_a_daemon_that_runs_is_asked_whether_it_is_ready() -> None:
    with DaemonProcess("log.format=json") as daemon:
        port = int(daemon.listening["http"].rpartition(":")[2])
        assert troubles(check_ready(with_ports(0, 0, port))) == []
    assert troubles(check_ready(with_ports(0, 0, port))) == [("ready", Level.FAULT)]


def test_the_command_prints_every_finding_and_its_status_tells_of_faults() -> None:
    ports = ["media.listen=127.0.0.1:0", "control.listen=127.0.0.1:0", "http.listen=127.0.0.1:0"]
    sound = subprocess.run(sfu_command("doctor", *ports), capture_output=True, text=True)
    assert sound.returncode == 0, sound.stdout
    assert {line.split()[1] for line in sound.stdout.splitlines() if "fix:" not in line} >= {
        "ports",
        "announce",
        "buffers",
        "clock",
        "cores",
        "memory",
        "limits",
    }
    with bound(socket.SOCK_DGRAM) as other:
        ports[0] = f"media.listen=127.0.0.1:{other.getsockname()[1]}"
        faulty = subprocess.run(sfu_command("doctor", *ports), capture_output=True, text=True)
    assert faulty.returncode == 1
    assert faulty.stdout.startswith("fault   ports        media.listen: ")


def test_a_configuration_that_cannot_be_used_is_one_line() -> None:
    done = subprocess.run(sfu_command("doctor", "media=1"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
