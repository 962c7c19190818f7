"""Session descriptions of virtual clients: offers and answers as text, and what theirs tell.

An offer looks like a browser's for three audio transceivers: BUNDLE, rtcp-mux, the usual codecs,
level and MID extensions. It is written and read here as text, line by line, because a load makes
thousands of them; nothing is kept but what a client acts on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
OPUS_PAYLOAD_TYPE = 111
LEVEL_EXTENSION = 1
TRANSPORT_CC_EXTENSION = 3
MID_EXTENSION = 4
RED_PAYLOAD_TYPE = 63

_REVERSED = {
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "sendrecv": "sendrecv",
    "inactive": "inactive",
}
# What browsers offer beside Opus; a server that takes one of them fails the load.
_OTHER_CODECS = (
    (9, "G722/8000"),
    (0, "PCMU/8000"),
    (8, "PCMA/8000"),
    (110, "telephone-event/48000"),
)


@dataclass(frozen=True)
class Local:
    """What one client's descriptions say of itself."""

    ufrag: str
    pwd: str
    fingerprint: str  # SHA-256, `AB:CD:...`
    ssrc: int  # of its microphone
    session: int


@dataclass
class Line:
    """One audio m-line of theirs."""

    mid: str = ""
    direction: str = "sendrecv"
    payload_type: int = -1  # of Opus
    level_extension: int = 0
    mid_extension: int = 0
    transport_cc_extension: int = 0
    ssrcs: list[int] = field(default_factory=list)


@dataclass
class Remote:
    """The server's description."""

    ufrag: str = ""
    pwd: str = ""
    fingerprint_algorithm: str = ""
    fingerprint: str = ""
    candidates: list[tuple[str, int]] = field(default_factory=list)  # UDP
    lines: list[Line] = field(default_factory=list)

    def address(self, *, is_ipv6: bool) -> tuple[str, int]:
        """The first candidate of a family. ValueError when there is none."""
        for host, port in self.candidates:
            if (ip_address(host).version == 6) is is_ipv6:
                return host, port
        raise ValueError(f"no {'IPv6' if is_ipv6 else 'IPv4'} candidate in the description")


def build_offer(
    local: Local, *, sends: bool, receives: int, count: int, adapts: bool = False
) -> str:
    """An offer with `count` audio m-lines: the first sends, too, when `sends`; the first `receives`
    of them receive. `adapts`: RED and transport-wide feedback are offered as well.
    """
    number = TRANSPORT_CC_EXTENSION if adapts else 0
    media: list[str] = []
    for index in range(count):
        sending, receiving = sends and index == 0, index < receives
        direction = "sendrecv" if sending and receiving else "sendonly" if sending else "recvonly"
        line = Line(
            str(index), direction, OPUS_PAYLOAD_TYPE, LEVEL_EXTENSION, MID_EXTENSION, number
        )
        media += _media(local, line, setup="actpass", others=True)
    return _text(local, [str(index) for index in range(count)], media)


def build_answer(local: Local, remote: Remote) -> str:
    """An answer that accepts every m-line of `remote` with its own numbers, as the DTLS client."""
    media: list[str] = []
    for theirs in remote.lines:
        mine = replace(theirs, direction=_REVERSED[theirs.direction])
        media += _media(local, mine, setup="active", others=False)
    return _text(local, [line.mid for line in remote.lines], media)


def parse(text: str) -> Remote:
    """What a client needs of a description. ValueError when something of it is missing."""
    remote = Remote()
    line: Line | None = None
    for kind, value in _lines(text):
        if kind == "m":
            line = Line()
            remote.lines.append(line)
        elif kind == "a":
            name, _, rest = value.partition(":")
            _take_transport(remote, name, rest)
            if line is not None:
                _take_media(line, name, rest)
    wanted = (remote.ufrag, remote.pwd, remote.fingerprint, remote.lines, remote.candidates)
    if not all(wanted):
        raise ValueError("a description needs ICE credentials, a fingerprint, media, a candidate")
    if any(line.payload_type < 0 for line in remote.lines):
        raise ValueError("an m-line without Opus")
    return remote


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for raw in text.splitlines():
        kind, _, value = raw.partition("=")
        yield kind, value


def _take_transport(remote: Remote, name: str, value: str) -> None:
    """ICE and DTLS, which BUNDLE has once: the first of each counts."""
    if name == "ice-ufrag":
        remote.ufrag = remote.ufrag or value
    elif name == "ice-pwd":
        remote.pwd = remote.pwd or value
    elif name == "fingerprint" and not remote.fingerprint:
        algorithm, _, digest = value.partition(" ")
        remote.fingerprint_algorithm, remote.fingerprint = algorithm.lower(), digest.upper()
    elif name == "candidate":
        words = value.split()
        candidate = (words[4], int(words[5]))
        if words[2].lower() == "udp" and candidate not in remote.candidates:
            remote.candidates.append(candidate)


def _take_media(line: Line, name: str, value: str) -> None:
    if name == "mid":
        line.mid = value
    elif name in _REVERSED:
        line.direction = name
    elif name == "rtpmap":
        number, _, codec = value.partition(" ")
        if line.payload_type < 0 and codec.lower().startswith("opus/48000"):
            line.payload_type = int(number)
    elif name == "extmap":
        _take_extension(line, value)
    elif name == "ssrc":
        ssrc = int(value.partition(" ")[0])
        if ssrc not in line.ssrcs:
            line.ssrcs.append(ssrc)


def _take_extension(line: Line, value: str) -> None:
    number, uri = value.split(" ")[:2]
    identifier = int(number.partition("/")[0])
    if uri == LEVEL_URI:
        line.level_extension = identifier
    elif uri == MID_URI:
        line.mid_extension = identifier
    elif uri == TRANSPORT_CC_URI:
        line.transport_cc_extension = identifier


def _text(local: Local, mids: list[str], media: list[str]) -> str:
    head = [
        "v=0",
        f"o=- {local.session} 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(mids)}",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS",
    ]
    return "\r\n".join((*head, *media, ""))


def _media(local: Local, line: Line, *, setup: str, others: bool) -> list[str]:
    """One m-line; `others`: offer the codecs beside Opus, too. Where feedback is offered, so is
    RED, as browsers do.
    """
    codecs = _OTHER_CODECS if others else ()
    adapting: list[str] = []
    if others and line.transport_cc_extension:
        codecs = ((RED_PAYLOAD_TYPE, "red/48000/2"), *codecs)
        adapting = [
            f"a=fmtp:{RED_PAYLOAD_TYPE} {line.payload_type}/{line.payload_type}",
            f"a=rtcp-fb:{line.payload_type} transport-cc",
        ]
    numbers = " ".join(str(number) for number in (line.payload_type, *(n for n, _ in codecs)))
    lines = [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {numbers}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{setup}",
        f"a=mid:{line.mid}",
        *_extensions(line),
        f"a={line.direction}",
        "a=rtcp-mux",
        f"a=rtpmap:{line.payload_type} opus/48000/2",
        f"a=fmtp:{line.payload_type} minptime=10;useinbandfec=1",
        *(f"a=rtpmap:{number} {codec}" for number, codec in codecs),
        *adapting,
    ]
    if line.direction.startswith("send"):
        lines += [f"a=msid:voice voice{line.mid}", f"a=ssrc:{local.ssrc} cname:{local.ufrag}"]
    return lines


def _extensions(line: Line) -> list[str]:
    pairs = (
        (line.level_extension, LEVEL_URI),
        (line.mid_extension, MID_URI),
        (line.transport_cc_extension, TRANSPORT_CC_URI),
    )
    return [f"a=extmap:{number} {uri}" for number, uri in pairs if number]
