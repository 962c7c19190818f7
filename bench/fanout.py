"""One talker and many listeners in the real forwarder, and the sockets they are sent to."""

from __future__ import annotations

import hashlib
import math
import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

from pylibsrtp import Policy, Session

from sfu.fast import Batch, Forwarder, Mmsg
from sfu.transport.address import pack_address

PAYLOAD_TYPE = 111
SSRC = 5
LEVEL_ID = 1
MID_ID = 4
FRAME_S = 0.02
FRAME_TICKS = 960
# Fixed header, one CSRC, and an extension block with level and a one-byte MID.
HEADER_BYTES = 12 + 4 + 4 + 4
DATAGRAM_ROOM_BYTES = 2_048
SPARE_DESCRIPTORS = 64
HOST = "127.0.0.1"
TALK_LEVEL, SILENT_LEVEL = 20, 127  # -dBov
CHEAPEST_US = 0.5  # no kernel sends a datagram for less: bounds what is made in advance
INGRESS_BATCH = 50  # within the forwarder's burst limit
INGRESS_BATCHES = 200

Traffic = Literal["unselected", "inaudible", "unvalidated"]


@contextmanager
def unread_sockets(count: int) -> Iterator[list[int]]:
    """Ports of `count` bound sockets that nobody reads; their small buffers are full at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise OSError(f"{count} sockets need {needed} file descriptors; the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            one.bind((HOST, 0))
            ports.append(one.getsockname()[1])
        yield ports


def cpu_us() -> float:
    """CPU time of this process so far, user and system, in microseconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


def _session(number: int, *, protects: bool) -> Session:
    policy = Policy(
        key=hashlib.sha512(str(number).encode()).digest(),
        ssrc_type=Policy.SSRC_ANY_OUTBOUND if protects else Policy.SSRC_ANY_INBOUND,
        srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    return Session(policy)


class Speaker:
    """A source that holds a slot, and the client that speaks for it."""

    def __init__(self, forwarder: Forwarder, number: int, payload: bytes, audience: int) -> None:
        self.address = pack_address(HOST, number + 1)
        self._client = _session(-number - 1, protects=True)
        self._payload = payload
        self._sequence = 1
        transport = forwarder.add_transport()
        receive, send = _session(-number - 1, protects=False), _session(number, protects=True)
        forwarder.set_keys(transport, receive, send)
        forwarder.allow(transport, self.address)
        self.source = forwarder.add_source(
            transport,
            csrc=number + 1,
            echo_group=number,
            payload_type=PAYLOAD_TYPE,
            level_extension=LEVEL_ID,
        )
        forwarder.set_audible(self.source, True)
        self.slot = forwarder.add_slot(audience)
        forwarder.assign(self.slot, self.source, 1.0)

    def speak(self, level: int) -> bytes:
        """The next packet."""
        self._sequence += 1
        timestamp = self._sequence * FRAME_TICKS % 2**32
        head = struct.pack("!BBHII", 0x90, PAYLOAD_TYPE, self._sequence % 2**16, timestamp, SSRC)
        extension = struct.pack("!HHBBH", 0xBEDE, 1, LEVEL_ID << 4, level, 0)
        return bytes(self._client.protect(head + extension + self._payload))


class FanOut:
    """Talkers in slots whose packets go to a listener at each of `ports`.

    With `segmented`, each listener's packets of a step leave in one send.
    """

    def __init__(
        self, ports: list[int], payload_bytes: int, *, talkers: int = 1, segmented: bool = False
    ) -> None:
        self._forwarder = Forwarder()
        self._listeners = len(ports)
        self._now = 1.0
        payload = b"\x78" + bytes(payload_bytes - 1)
        audience = self._forwarder.add_audience()
        self._forwarder.set_segmented(audience, segmented)
        self._speakers = [
            Speaker(self._forwarder, number, payload, audience) for number in range(talkers)
        ]
        self._inbox = Batch(talkers, talkers * DATAGRAM_ROOM_BYTES)
        for number, port in enumerate(ports):
            self._add_listener(number + talkers, port)

    def _add_listener(self, number: int, port: int) -> None:
        transport = self._forwarder.add_transport()
        self._forwarder.set_keys(
            transport, _session(number, protects=False), _session(number, protects=True)
        )
        self._forwarder.route(transport, pack_address(HOST, port))
        for line, speaker in enumerate(self._speakers):
            egress = self._forwarder.add_egress(
                transport,
                ssrc=(number << 3) + line,
                payload_type=PAYLOAD_TYPE,
                first_sequence=1,
                first_timestamp=0,
                echo_group=number,
                level_extension=LEVEL_ID,
                mid_extension=MID_ID,
                mid=b"%d" % line,
            )
            self._forwarder.subscribe(egress, self._forwarder.slot_stream(speaker.slot))

    def cost_us(self, *, batch: int, seconds: float, sends: bool) -> float:
        """CPU microseconds of one forwarded packet; without `sends` it stays in memory."""
        outbox = Batch(batch, batch * DATAGRAM_ROOM_BYTES)
        # Made before the clock runs: what the talkers do is no cost of ours.
        cheapest_us = CHEAPEST_US * self._listeners * len(self._speakers)
        enough = math.ceil(seconds * 1e6 / cheapest_us) + 1
        talk = [[one.speak(TALK_LEVEL) for one in self._speakers] for _ in range(enough)]
        before = self._forwarder.counters()["forwarded"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.setblocking(False)
            mmsg = Mmsg(own.fileno(), -1)
            ends, started = time.monotonic() + seconds, cpu_us()
            for spoken in talk:
                self._pass_on(spoken, outbox, mmsg if sends else None)
                if time.monotonic() >= ends:
                    break
            spent = cpu_us() - started
        forwarded = self._forwarder.counters()["forwarded"] - before
        if forwarded == 0 or (sends and mmsg.counters()["sent"] != forwarded):
            raise OSError(f"of {forwarded} packets not all were sent: {mmsg.counters()}")
        return spent / forwarded

    def _pass_on(self, spoken: list[bytes], outbox: Batch, mmsg: Mmsg | None) -> None:
        """One packet of each talker to everybody."""
        self._now += FRAME_S
        self._inbox.clear()
        for packet, speaker in zip(spoken, self._speakers, strict=True):
            self._inbox.append(packet, speaker.address)
        self._forwarder.receive(self._inbox, self._now)
        more = True
        while more:
            outbox.clear()
            more = self._forwarder.drain(outbox)
            if mmsg is not None:
                mmsg.send(outbox)

    def ingress_us(self, traffic: Traffic) -> float:
        """CPU microseconds of one packet that comes in and goes nowhere."""
        speaker = self._speakers[0]
        self._forwarder.assign(speaker.slot, -1, self._now)
        self._forwarder.set_audible(speaker.source, traffic != "inaudible")
        address = pack_address(HOST, 9_999) if traffic == "unvalidated" else speaker.address
        inboxes = [self._silence(address) for _ in range(INGRESS_BATCHES)]
        outbox = Batch(1, DATAGRAM_ROOM_BYTES)
        before, started = self._dropped(traffic), cpu_us()
        for inbox in inboxes:
            self._now += INGRESS_BATCH * FRAME_S
            self._forwarder.receive(inbox, self._now)
            self._forwarder.drain(outbox)
        spent = cpu_us() - started
        dropped = self._dropped(traffic) - before
        assert dropped == INGRESS_BATCHES * INGRESS_BATCH, f"{dropped} were dropped as {traffic}"
        self._forwarder.set_audible(speaker.source, True)
        self._forwarder.assign(speaker.slot, speaker.source, self._now)
        return spent / dropped

    def _silence(self, address: bytes) -> Batch:
        """A full inbox of packets that say nothing."""
        inbox = Batch(INGRESS_BATCH, INGRESS_BATCH * DATAGRAM_ROOM_BYTES)
        for _ in range(INGRESS_BATCH):
            inbox.append(self._speakers[0].speak(SILENT_LEVEL), address)
        return inbox

    def _dropped(self, traffic: Traffic) -> int:
        return self._forwarder.counters()[f"dropped_{traffic}"]
