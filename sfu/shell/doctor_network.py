"""What `sfu doctor` looks at between the daemon and its clients: ports, addresses, buffers, TLS."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from cryptography import x509

from control.endpoint import TcpEndpoint
from sfu.shell.announce import compute_candidates, list_interfaces
from sfu.shell.config import Config, ConfigError
from sfu.shell.doctor_machine import Machine
from sfu.shell.endpoint import Endpoint
from sfu.shell.finding import Finding, Level
from sfu.shell.udp import ListenError, UdpPort, listen_error
from sfu.transport.candidates import Candidate

# To a router and back; who translates addresses for its own inside answers within a millisecond.
RETURN_WITHIN_S = 1.0
READY_WITHIN_S = 2.0
EXPIRES_SOON_S = 14 * 86_400


def check_listening(config: Config) -> Iterator[Finding]:
    """Whether every port can be had. They are bound for a moment and closed again."""
    try:
        UdpPort(config.media_endpoints).close()
        yield Finding("ports", Level.OK, f"UDP {_all(config.media_endpoints)}")
    except ListenError as error:
        yield Finding("ports", Level.FAULT, str(error), _free(str(error)))
    for key, endpoint in _tcp_endpoints(config):
        try:
            _listen(endpoint)
            yield Finding("ports", Level.OK, f"TCP {endpoint}")
        except OSError as error:
            text = listen_error(key, endpoint, error)
            yield Finding("ports", Level.FAULT, text, _free(text))


def check_ready(config: Config) -> Iterator[Finding]:
    """Whether the daemon that runs with this configuration takes newcomers."""
    host, port = config.http_endpoint
    asked = ipaddress.ip_address(host)
    if asked.is_unspecified:
        host = "127.0.0.1" if asked.version == 4 else "::1"
    try:
        url = f"http://{Endpoint(host, port)}/readyz"
        with urllib.request.urlopen(url, timeout=READY_WITHIN_S):
            yield Finding("ready", Level.OK, f"{url} says so")
    except urllib.error.HTTPError as error:
        fix = "sfuctl server undrain, if nobody is ending it"
        yield Finding("ready", Level.FAULT, f"{url} says {error.code}: it takes nobody new", fix)
    except OSError as error:
        fix = "start it, and read its last line if it does not stay"
        yield Finding("ready", Level.FAULT, f"{url} does not answer ({error})", fix)


def check_announced(config: Config, *, is_running: bool) -> Iterator[Finding]:
    """Whether clients are told addresses that lead here."""
    try:
        candidates = compute_candidates(config, config.media_endpoints)
    except ConfigError as error:
        fix = 'media.announce = ["the address at which clients reach this machine"]'
        yield Finding("announce", Level.FAULT, str(error), fix)
        return
    own = {interface.host for interface in list_interfaces()}
    for candidate in candidates:
        yield _of_candidate(candidate, config, own, is_running)
    if not any(_is_public(candidate) for candidate in candidates):
        yield Finding(
            "announce",
            Level.ADVICE,
            "clients outside this network cannot reach any of these addresses",
            'media.announce = ["the public address"]; add announce_internal = true to keep these',
        )


def check_buffers(machine: Machine) -> Iterator[Finding]:
    """Whether the kernel grants the buffers that the daemon asks for; on a socket of its own.

    Root gets them by force, so the kernel's limits are looked at as well where they can be seen.
    """
    port = UdpPort([Endpoint("127.0.0.1", 0)])
    port.close()
    for buffer in port.buffers:
        name = "receive" if "rmem" in buffer.sysctl else "send"
        limit = machine.text(f"proc/sys/{buffer.sysctl.replace('.', '/')}")
        granted = min(buffer.granted, int(limit)) if limit else buffer.granted
        if granted < buffer.asked:
            text = f"{name}: {granted:,} of {buffer.asked:,} bytes, bursts will be lost"
            fix = f"sysctl -w {buffer.sysctl}={buffer.asked}, and in /etc/sysctl.d to keep it"
            yield Finding("buffers", Level.ADVICE, text, fix)
        else:
            yield Finding("buffers", Level.OK, f"{name}: {granted:,} bytes")


def check_certificate(config: Config, folder: Path, wall: float) -> Iterator[Finding]:
    """How long the control port's certificate is good; `wall` is in unix seconds."""
    tls = config.control.tls
    if tls is None:
        return
    path = folder / tls.certificate
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        yield Finding("certificate", Level.FAULT, f"{path}: {error}", "give a PEM certificate")
        return
    left_s = certificate.not_valid_after_utc.timestamp() - wall
    text = f"{path}: good for {left_s / 86_400:.0f} more days"
    fix = "renew it, then SIGHUP: nobody is dropped"
    if left_s <= 0:
        text = f"{path}: expired {-left_s / 86_400:.0f} days ago, backends refuse it"
        yield Finding("certificate", Level.FAULT, text, fix)
    elif left_s < EXPIRES_SOON_S:
        yield Finding("certificate", Level.ADVICE, text, fix)
    else:
        yield Finding("certificate", Level.OK, text)


def comes_back(candidate: Candidate, listening: Endpoint) -> bool:
    """Whether a datagram sent to what is announced arrives where the daemon listens.

    It does when the address is this machine's, or when whoever translates it also does so for
    those inside. Raises OSError when it cannot be sent.
    """
    family = socket.AF_INET6 if candidate.is_ipv6 else socket.AF_INET
    token = secrets.token_bytes(16)
    with ExitStack() as stack:
        inbox = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        outbox = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        inbox.bind(tuple(listening))
        outbox.sendto(token, (candidate.host, candidate.port))
        deadline = time.monotonic() + RETURN_WITHIN_S
        while (left_s := deadline - time.monotonic()) > 0:
            inbox.settimeout(left_s)
            try:
                if inbox.recv(64) == token:
                    return True
            except TimeoutError:
                break
    return False


def _of_candidate(candidate: Candidate, config: Config, own: set[str], is_running: bool) -> Finding:
    where = str(Endpoint(candidate.host, candidate.port))
    if candidate.host in own:
        return Finding("announce", Level.OK, f"{where} is this machine's")
    listening = next(
        endpoint for endpoint in config.media_endpoints if endpoint.is_ipv6 == candidate.is_ipv6
    )
    unknown = (
        f"{where} is not this machine's, and from here it cannot be told whether it leads here"
    )
    fix = (
        f"have UDP port {candidate.port} of it lead to port {listening.port} here; try from outside"
    )
    if is_running:
        return Finding("announce", Level.ADVICE, unknown, fix)
    try:
        if comes_back(candidate, listening):
            return Finding("announce", Level.OK, f"{where} leads here")
    except OSError as error:
        text = f"{where} cannot be tried: {error.strerror or error}"
        return Finding("announce", Level.ADVICE, text, fix)
    return Finding("announce", Level.ADVICE, unknown, fix)


def _is_public(candidate: Candidate) -> bool:
    return ipaddress.ip_address(candidate.host).is_global


def _tcp_endpoints(config: Config) -> Iterator[tuple[str, Endpoint]]:
    """What is listened on with TCP, where that is a numeric address."""
    control = config.control_endpoint
    if isinstance(control, TcpEndpoint):
        yield "control.listen", Endpoint(control.host, control.port)
    yield "http.listen", config.http_endpoint


def _listen(endpoint: Endpoint) -> None:
    """As asyncio's servers do: connections that are ending there are no obstacle."""
    family = socket.AF_INET6 if endpoint.is_ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if endpoint.is_ipv6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(tuple(endpoint))
        probe.listen(1)


def _free(text: str) -> str:
    """What to do about a port that cannot be had."""
    if "already" in text:
        return "end that program, or choose another port; if it is this daemon, use --running"
    return ""


def _all(endpoints: list[Endpoint]) -> str:
    return ", ".join(str(endpoint) for endpoint in endpoints)
