"""Offers as browsers write them, and what a client takes from the answer. Text only, nothing shared
with the server's own SDP code."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"


@dataclass(frozen=True, slots=True)
class OfferShape:
    """What differs between clients. An extension id of 0 leaves that extension out of the offer."""

    ufrag: str
    pwd: str
    fingerprint: str
    lines: int = 3
    sends: bool = True
    firefox: bool = False
    payload_type: int = 111
    level_extension: int = 1
    mid_extension: int = 4
    other_extension: int = 2
    ssrc: int = 0
    # 0 leaves RED out of the offer.
    red_payload_type: int = 0
    nack: bool = False
    xr: bool = False
    # 0 leaves transport-wide feedback out of the offer.
    transport_cc_extension: int = 0
    remb: bool = False
    # A later offer of the session: what an answer left out of an m-line is not offered there again.
    is_answered: bool = False

    @property
    def feedback(self) -> list[str]:
        """What it offers to tell of packets beside regular reports (RFC 4585 4.2)."""
        offered = {"transport-cc": self.transport_cc_extension > 0, "goog-remb": self.remb}
        offered["nack"] = self.nack
        return [name for name, is_offered in offered.items() if is_offered]

    def mid(self, index: int) -> str:
        """The identification of an m-line, in either browser's style."""
        return f"{{{index}}}" if self.firefox and index > 9 else str(index)


def random_shape(
    rng: random.Random,
    fingerprint: str,
    *,
    lines: int,
    sends: bool,
    tells_level: bool,
    red: bool = False,
    nack: bool = False,
    xr: bool = False,
    transport_cc: bool = False,
    remb: bool = False,
) -> OfferShape:
    """A client unlike the others: extension ids, payload type and style of its own."""
    level, mid, other = rng.sample(range(1, 15), 3)
    if rng.random() < 0.1:
        mid = rng.randrange(16, 200)  # needs two-byte extension headers (RFC 8285 4.3)
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
    return OfferShape(
        ufrag="".join(rng.choices(alphabet, k=8)),
        pwd="".join(rng.choices(alphabet, k=24)),
        fingerprint=fingerprint,
        lines=lines,
        sends=sends,
        firefox=rng.random() < 0.3,
        payload_type=rng.choice((96, 101, 109, 111, 120, 127)),
        level_extension=level if tells_level else 0,
        mid_extension=mid,
        other_extension=other,
        ssrc=rng.randrange(1, 2**32) if rng.random() < 0.8 else 0,
        red_payload_type=rng.choice((63, 97, 110, 126)) if red else 0,
        nack=nack,
        xr=xr,
        transport_cc_extension=_free_extension(level, mid, other) if transport_cc else 0,
        remb=remb,
    )


def _free_extension(*taken: int) -> int:
    """An extension id that no other has."""
    return next(number for number in range(1, 15) if number not in taken)


def build_offer(shape: OfferShape) -> str:
    """The whole offer. RFC 8829 5.2, RFC 9143."""
    bundle = " ".join(shape.mid(index) for index in range(shape.lines))
    lines = [
        "v=0",
        "o=- 4611686018427387904 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {bundle}",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS *",
    ]
    for index in range(shape.lines):
        lines += _section(shape, index)
    return "\r\n".join(lines) + "\r\n"


def _section(shape: OfferShape, index: int) -> list[str]:
    payload_type = shape.payload_type
    bundle_only = shape.firefox and index > 0
    sends = shape.sends and index == 0
    red = f" {shape.red_payload_type}" if shape.red_payload_type else ""
    section = [
        f"m=audio {0 if bundle_only else 9} UDP/TLS/RTP/SAVPF {payload_type}{red} 9 0 8 13",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{shape.ufrag}",
        f"a=ice-pwd:{shape.pwd}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {shape.fingerprint}",
        "a=setup:actpass",
        f"a=mid:{shape.mid(index)}",
        *_extensions(shape, has_transport_cc=not (shape.is_answered and sends)),
        "a=sendrecv" if sends else "a=recvonly",
        "a=rtcp-mux",
        f"a=rtpmap:{payload_type} opus/48000/2",
        *(f"a=rtcp-fb:{payload_type} {name}" for name in shape.feedback),
        *("a=rtcp-xr:rcvr-rtt=all" for _ in range(shape.xr)),
        f"a=fmtp:{payload_type} minptime=10;useinbandfec=1",
        *_red_lines(shape),
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:13 CN/8000",
    ]
    if bundle_only:
        section.append("a=bundle-only")
    if sends and shape.ssrc:
        section += [f"a=ssrc:{shape.ssrc} cname:client", f"a=ssrc:{shape.ssrc} msid:- microphone"]
    return section


def _red_lines(shape: OfferShape) -> list[str]:
    if not shape.red_payload_type:
        return []
    return [
        f"a=rtpmap:{shape.red_payload_type} red/48000/2",
        f"a=fmtp:{shape.red_payload_type} {shape.payload_type}/{shape.payload_type}",
    ]


def _extensions(shape: OfferShape, *, has_transport_cc: bool) -> list[str]:
    wanted = (
        (shape.level_extension, LEVEL_URI),
        (shape.other_extension, SEND_TIME_URI),
        (shape.mid_extension, MID_URI),
        (shape.transport_cc_extension if has_transport_cc else 0, TRANSPORT_CC_URI),
    )
    return [f"a=extmap:{identifier} {uri}" for identifier, uri in wanted if identifier]


@dataclass(slots=True)
class AnswerLine:
    """One m-line of the answer."""

    mid: str = ""
    direction: str = "sendrecv"
    payload_types: tuple[int, ...] = ()
    extensions: dict[str, int] = field(default_factory=dict)
    ssrcs: list[int] = field(default_factory=list)
    codecs: dict[int, str] = field(default_factory=dict)
    feedback: set[str] = field(default_factory=set)
    has_reference_time: bool = False

    @property
    def red_payload_type(self) -> int:
        """Of RED, 0 when it was not accepted."""
        return next((number for number, name in self.codecs.items() if name == "red/48000/2"), 0)


@dataclass(slots=True)
class Answer:
    """What the client needs of the answer; session-level values hold for every m-line."""

    ufrag: str = ""
    pwd: str = ""
    fingerprint: str = ""
    setup: str = ""
    is_ice_lite: bool = False
    candidates: list[tuple[str, int]] = field(default_factory=list)
    lines: list[AnswerLine] = field(default_factory=list)


_CANDIDATE = re.compile(r"\S+ 1 udp \d+ (\S+) (\d+) typ host", re.IGNORECASE)


def parse_answer(text: str) -> Answer:
    """Read an answer; ValueError or KeyError when it is not one."""
    answer = Answer()
    for line in text.splitlines():
        if line.startswith("m="):
            media = line[2:].split()
            if media[0] != "audio":
                raise ValueError(f"not an audio line: {line}")
            answer.lines.append(AnswerLine(payload_types=tuple(map(int, media[3:]))))
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            _read_attribute(answer, name, value)
    return answer


def _read_attribute(answer: Answer, name: str, value: str) -> None:
    session = {"ice-ufrag": "ufrag", "ice-pwd": "pwd", "setup": "setup"}
    if name in session:
        setattr(answer, session[name], value)
    elif name == "fingerprint":
        answer.fingerprint = value.split()[1]
    elif name == "ice-lite":
        answer.is_ice_lite = True
    elif name == "candidate":
        match = _CANDIDATE.match(value)
        if match and (match[1], int(match[2])) not in answer.candidates:
            answer.candidates.append((match[1], int(match[2])))
    elif answer.lines:
        _read_media_attribute(answer.lines[-1], name, value)


def _read_media_attribute(line: AnswerLine, name: str, value: str) -> None:
    if name == "mid":
        line.mid = value
    elif name in ("sendrecv", "recvonly", "sendonly", "inactive"):
        line.direction = name
    elif name == "extmap":
        identifier, uri = value.split()[:2]
        line.extensions[uri] = int(identifier.partition("/")[0])
    elif name == "rtpmap":
        line.codecs[int(value.split()[0])] = value.split()[1].lower()
    elif name == "rtcp-fb":
        line.feedback.add(value.split(maxsplit=1)[1])
    elif name == "rtcp-xr":
        line.has_reference_time = "rcvr-rtt=all" in value.split()
    elif name == "ssrc":
        ssrc = int(value.split()[0])
        if ssrc not in line.ssrcs:
            line.ssrcs.append(ssrc)


def faults_of(shape: OfferShape, answer: Answer) -> list[str]:
    """What a browser would refuse, or later stumble over, in this answer to this offer."""
    faults = []
    if len(answer.lines) != shape.lines:
        faults.append(f"{len(answer.lines)} m-lines for {shape.lines} offered")
    if answer.setup != "passive":
        faults.append(f"setup:{answer.setup} instead of passive")
    if not answer.is_ice_lite or not answer.candidates:
        faults.append("not ICE-lite with a host candidate")
    offered = {LEVEL_URI: shape.level_extension, MID_URI: shape.mid_extension}
    offered[SEND_TIME_URI] = shape.other_extension
    offered[TRANSPORT_CC_URI] = shape.transport_cc_extension
    lends = any(
        line.direction == "sendonly" and TRANSPORT_CC_URI in line.extensions
        for line in answer.lines
    )
    for index, line in enumerate(answer.lines):
        found = _line_faults(shape, line, index) + _feedback_faults(shape, line, lends=lends)
        faults += [f"m-line {index}: {fault}" for fault in found]
        for uri, identifier in line.extensions.items():
            if offered.get(uri) != identifier:
                faults.append(f"m-line {index}: extension {uri} as {identifier} was not offered")
    ssrcs = [ssrc for line in answer.lines for ssrc in line.ssrcs]
    if len(set(ssrcs)) != len(ssrcs):
        faults.append("an SSRC on two m-lines")
    return faults


def _line_faults(shape: OfferShape, line: AnswerLine, index: int) -> list[str]:
    faults = []
    if line.mid != shape.mid(index):
        faults.append(f"mid {line.mid}")
    if line.payload_types[:1] != (shape.payload_type,):
        faults.append(f"payload types {line.payload_types}")
    allowed = ("sendrecv",) if shape.sends and index == 0 else ("sendonly", "inactive")
    if line.direction not in allowed:
        faults.append(f"direction {line.direction}")
    if line.direction != "inactive" and len(line.ssrcs) != 1:
        faults.append(f"{len(line.ssrcs)} SSRCs declared")
    return faults + _repair_faults(shape, line)


def _repair_faults(shape: OfferShape, line: AnswerLine) -> list[str]:
    """RED and reference times are accepted where they were offered, and only there."""
    faults = []
    if line.red_payload_type != shape.red_payload_type:
        faults.append(f"RED as {line.red_payload_type}, offered as {shape.red_payload_type}")
    if shape.red_payload_type and line.payload_types[1:2] != (shape.red_payload_type,):
        faults.append(f"payload types {line.payload_types}")
    if line.has_reference_time is not shape.xr:
        faults.append(f"reference times: {line.has_reference_time}")
    return faults


def _feedback_faults(shape: OfferShape, line: AnswerLine, *, lends: bool) -> list[str]:
    """Feedback is accepted where it was offered, and only there. An m-line that goes both ways has
    no transport-wide numbers agreed on, or the client would number what it sends; it borrows them
    from the others, if one of them `lends`.
    """
    faults = []
    both_ways, expected = line.direction == "sendrecv", set(shape.feedback)
    if both_ways and not lends:
        expected.discard("transport-cc")
    if line.feedback != expected:
        faults.append(f"feedback {sorted(line.feedback)}")
    is_offered = bool(shape.transport_cc_extension) and not both_ways
    if (TRANSPORT_CC_URI in line.extensions) is not is_offered:
        faults.append(f"extensions {sorted(line.extensions)}")
    return faults
