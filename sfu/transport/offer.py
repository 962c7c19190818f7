"""Reading a WebRTC offer (RFC 8866, RFC 8829): strict about size and shape, blind to the rest.

`parse_offer` reads lines into values and judges only their form; what the offer must contain for
this server is judged by the answer. Everything wrong with an offer is an `OfferError` with a
sentence that tells the developer of the client what to change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

import msgspec

# Seven audio m-lines of Chromium are 17 KB in 400 lines; twice that and more.
OFFER_CHARS_MAX = 40_960
LINES_MAX = 1_500
# An ICE candidate or an fmtp line is under 200 characters.
LINE_CHARS_MAX = 2_048
MEDIA_MAX = 32
# Per m-line. Chromium offers 8 audio codecs and 40 video payload types.
CODECS_MAX = 128
EXTENSIONS_MAX = 64
SSRCS_MAX = 64
# Chromium offers 5 for each of its video codecs.
FEEDBACK_MAX = 256
FINGERPRINTS_MAX = 8

# What the clients of a product offer are a few dozen different lines, the same in every join and in
# each m-line of it; they are looked into once. A line is under LINE_CHARS_MAX: at most 2 MiB each.
_KNOWN_LINES = 512

FINGERPRINT_DIGITS = {"sha-256": 64, "sha-384": 96, "sha-512": 128}


class OfferError(ValueError):
    """The offer cannot be answered; the text says why, for the field `offer`."""


class Direction(StrEnum):
    """Which way media flows, as seen by the side that states it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the side that states it sends."""
        return self in _SENDING

    @property
    def receives(self) -> bool:
        """Whether the side that states it receives."""
        return self in _RECEIVING

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """The direction of a side that sends and receives so."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE


_SENDING = (Direction.SENDRECV, Direction.SENDONLY)
_RECEIVING = (Direction.SENDRECV, Direction.RECVONLY)
_DIRECTIONS = tuple((direction.value, direction) for direction in Direction)


class Codec(msgspec.Struct, frozen=True):
    """One `a=rtpmap`, with its `a=fmtp` if there is one."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int
    parameters: str = ""


class TransportFacts(msgspec.Struct, frozen=True):
    """What an m-line or the session says about ICE and DTLS; empty where it says nothing."""

    ice_ufrag: str = ""
    ice_pwd: str = ""
    setup: str = ""
    fingerprints: tuple[tuple[str, str], ...] = ()


class OfferedMedia(msgspec.Struct, frozen=True):
    """One m-line. `extensions` holds (id, uri) of those offered in both directions.

    `feedback` holds `a=rtcp-fb` as `111 nack`, `extended_reports` the formats of `a=rtcp-xr`.
    """

    index: int
    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str
    direction: Direction
    codecs: tuple[Codec, ...]
    extensions: tuple[tuple[int, str], ...]
    ssrcs: tuple[int, ...]
    feedback: tuple[str, ...]
    extended_reports: tuple[str, ...]
    has_rtcp_mux: bool
    is_bundle_only: bool
    transport: TransportFacts

    @property
    def is_audio(self) -> bool:
        """An audio m-line that is not disabled: port 0 disables it unless it is bundle-only."""
        return self.kind == "audio" and (self.port != 0 or self.is_bundle_only)

    def extension(self, uri: str) -> int:
        """The id offered for a header extension, 0 for none."""
        return next((number for number, offered in self.extensions if offered == uri), 0)


class Offer(msgspec.Struct, frozen=True):
    """A parsed offer. `bundle` holds the mids of the first BUNDLE group, in its order."""

    media: tuple[OfferedMedia, ...]
    bundle: tuple[str, ...]
    allows_mixed_extensions: bool  # a=extmap-allow-mixed at session level
    is_ice_lite: bool
    transport: TransportFacts

    @property
    def audio(self) -> tuple[OfferedMedia, ...]:
        """The usable audio m-lines in order: how many things the client can hear."""
        return tuple(media for media in self.media if media.is_audio)


# Attributes of which one place may have several; of any other the first counts.
_REPEATED = frozenset({"rtpmap", "fmtp", "extmap", "ssrc", "rtcp-fb", "fingerprint", "group"})


@dataclass(slots=True)
class _Section:
    """The attributes collected so far for the session or one m-line."""

    media_line: str = ""
    values: dict[str, str] = field(default_factory=dict)  # the first of each other attribute
    rtpmaps: dict[int, str] = field(default_factory=dict)
    fmtps: dict[int, str] = field(default_factory=dict)
    extmaps: list[str] = field(default_factory=list)
    ssrcs: dict[int, None] = field(default_factory=dict)
    feedback: list[str] = field(default_factory=list)
    fingerprints: list[tuple[str, str]] = field(default_factory=list)
    bundle: tuple[str, ...] = ()

    def add(self, name: str, value: str) -> None:
        """Take one of _REPEATED; OfferError when it is malformed or one too many."""
        if name == "rtpmap" or name == "fmtp":
            into = self.rtpmaps if name == "rtpmap" else self.fmtps
            _check_count(name, len(into), CODECS_MAX)
            payload_type, rest = _numbered(name, value)
            into.setdefault(payload_type, rest)
        elif name == "extmap":
            _check_count(name, len(self.extmaps), EXTENSIONS_MAX)
            self.extmaps.append(value)
        elif name == "ssrc":
            _check_count(name, len(self.ssrcs), SSRCS_MAX)
            self.ssrcs[_number(value.partition(" ")[0], 0xFFFFFFFF, "a=ssrc")] = None
        elif name == "rtcp-fb":
            _check_count(name, len(self.feedback), FEEDBACK_MAX)
            self.feedback.append(value.strip())
        elif name == "fingerprint":
            _check_count(name, len(self.fingerprints), FINGERPRINTS_MAX)
            fingerprint = _fingerprint(value)
            if fingerprint is not None:
                self.fingerprints.append(fingerprint)
        elif value.startswith("BUNDLE") and not self.bundle:
            self.bundle = tuple(value.split()[1:])

    def transport(self) -> TransportFacts:
        """What this section says about ICE and DTLS."""
        ufrag, pwd = self.values.get("ice-ufrag", ""), self.values.get("ice-pwd", "")
        # RFC 8839 5.4: 4 to 256 and 22 to 256 ice-chars.
        if ufrag and not (4 <= len(ufrag) <= 256 and _is_ice(ufrag)):
            raise OfferError("a=ice-ufrag must be 4 to 256 letters, digits, + or /")
        if pwd and not (22 <= len(pwd) <= 256 and _is_ice(pwd)):
            raise OfferError("a=ice-pwd must be 22 to 256 letters, digits, + or /")
        return TransportFacts(ufrag, pwd, self.values.get("setup", ""), tuple(self.fingerprints))

    def direction(self, default: Direction) -> Direction:
        """The direction attribute of this section (RFC 8866 6.7)."""
        for value, direction in _DIRECTIONS:
            if value in self.values:
                return direction
        return default


def parse_offer(text: str) -> Offer:
    """Read an offer; OfferError when it is too long or not well-formed SDP."""
    session, sections = _sections(text)
    media = tuple(_media(index, section, session) for index, section in enumerate(sections))
    mids = [entry.mid for entry in media if entry.mid]
    if len(set(mids)) != len(mids):
        raise OfferError("two m-lines have the same a=mid")
    return Offer(
        media=media,
        bundle=session.bundle,
        allows_mixed_extensions="extmap-allow-mixed" in session.values,
        is_ice_lite="ice-lite" in session.values,
        transport=session.transport(),
    )


def _sections(text: str) -> tuple[_Section, list[_Section]]:
    """Sort the lines of an offer into the session and its m-lines."""
    current = session = _Section()
    sections: list[_Section] = []
    for line in _lines(text):
        if line[0] == "a":
            name, _, argument = line[2:].partition(":")
            if name in _REPEATED:
                current.add(name, argument)
            else:
                current.values.setdefault(name, argument)
        elif line[0] == "m":
            _check_count("m-line", len(sections), MEDIA_MAX)
            current = _Section(media_line=line[2:])
            sections.append(current)
    if not sections:
        raise OfferError("the offer has no m-line")
    return session, sections


def _lines(text: str) -> list[str]:
    """The lines of an offer; OfferError for one that is not `x=...`."""
    if len(text) > OFFER_CHARS_MAX:
        raise OfferError(f"the offer is longer than {OFFER_CHARS_MAX} characters")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > LINES_MAX:
        raise OfferError(f"the offer has more than {LINES_MAX} lines")
    if lines[0] != "v=0":
        raise OfferError("the offer does not begin with v=0")
    is_printable = "".join(lines).isprintable()
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_CHARS_MAX:
            raise OfferError(f"line {number} is longer than {LINE_CHARS_MAX} characters")
        if line[1:2] != "=" or not (is_printable or line.isprintable()):
            raise OfferError(f"line {number} is not SDP")
    return lines


def _media(index: int, section: _Section, session: _Section) -> OfferedMedia:
    """One m-line with its attributes."""
    fields = section.media_line.split(" ")
    if len(fields) < 4 or "" in fields or len(fields) - 3 > CODECS_MAX:
        raise OfferError(f"m-line {index} is malformed")
    mid = section.values.get("mid", "")
    reports = section.values.get("rtcp-xr", session.values.get("rtcp-xr", ""))
    if len(mid) > 64 or " " in mid:
        raise OfferError(f"the a=mid of m-line {index} is malformed")
    return OfferedMedia(
        index=index,
        kind=fields[0],
        port=_number(fields[1].partition("/")[0], 65_535, f"the port of m-line {index}"),
        protocol=fields[2],
        formats=tuple(fields[3:]),
        mid=mid,
        direction=section.direction(session.direction(Direction.SENDRECV)),
        codecs=_codecs(section, fields[3:]),
        extensions=_extensions(section.extmaps),
        ssrcs=tuple(section.ssrcs),
        feedback=tuple(section.feedback),
        extended_reports=tuple(reports.split()),
        has_rtcp_mux="rtcp-mux" in section.values or "rtcp-mux-only" in section.values,
        is_bundle_only="bundle-only" in section.values,
        transport=section.transport(),
    )


def _codecs(section: _Section, formats: list[str]) -> tuple[Codec, ...]:
    """The codecs of an m-line in the order of preference that its formats state."""
    wanted = [int(entry) for entry in formats if entry.isascii() and entry.isdigit()]
    return tuple(
        _codec(number, section.rtpmaps[number], section.fmtps.get(number, ""))
        for number in dict.fromkeys(wanted)
        if number in section.rtpmaps
    )


@lru_cache(_KNOWN_LINES)
def _codec(payload_type: int, rtpmap: str, parameters: str) -> Codec:
    """One codec: `name/rate[/channels]`."""
    name, _, rest = rtpmap.partition("/")
    rate, _, channels = rest.partition("/")
    return Codec(
        payload_type=payload_type,
        name=name.lower(),
        clock_rate=_number(rate, 1_000_000, "the clock rate of an a=rtpmap"),
        channels=_number(channels or "1", 255, "the channels of an a=rtpmap"),
        parameters=parameters,
    )


def _extensions(extmaps: list[str]) -> tuple[tuple[int, str], ...]:
    """The header extensions with an id that fits a packet: 1 to 14, or 16 to 255 (RFC 8285)."""
    found: dict[int, str] = {}
    for value in extmaps:
        number, uri = _extension(value)
        if uri:
            found.setdefault(number, uri)
    return tuple(found.items())


@lru_cache(_KNOWN_LINES)
def _extension(value: str) -> tuple[int, str]:
    """One `a=extmap`; no URI if it is not for both ways or its id does not fit a packet."""
    head, _, rest = value.partition(" ")
    digits, slash, direction = head.partition("/")
    # Ids up to 4351 are legal in an offer, to be renumbered by the answer; nobody does that.
    number = _number(digits, 4_351, "the id of an a=extmap")
    one_way = slash and direction != Direction.SENDRECV
    fits = number <= 255 and number not in (0, 15)
    return number, rest.split(" ")[0] if fits and not one_way else ""


@lru_cache(_KNOWN_LINES)
def _numbered(name: str, value: str) -> tuple[int, str]:
    """An attribute that begins with a payload type: that and the rest."""
    payload_type, _, rest = value.partition(" ")
    return _number(payload_type, 127, f"a={name}"), rest


def _fingerprint(value: str) -> tuple[str, str] | None:
    """A certificate's (algorithm, `AB:CD:...`); None for a hash that we cannot check."""
    algorithm, _, digest = value.strip().partition(" ")
    algorithm = algorithm.lower()
    if algorithm not in FINGERPRINT_DIGITS:
        return None
    try:
        octets = bytes.fromhex(digest.replace(":", ""))
    except ValueError:
        octets = b""
    # Blanks between octets are no digits, though `fromhex` skips them.
    if 2 * len(octets) != FINGERPRINT_DIGITS[algorithm] or not digest.isascii() or " " in digest:
        raise OfferError(f"a=fingerprint is not a {algorithm} digest")
    return algorithm, octets.hex(":").upper()


def _is_ice(text: str) -> bool:
    """Whether a user fragment or password consists of ice-chars (RFC 8839 5.4)."""
    return text.isascii() and text.replace("+", "").replace("/", "").isalnum()


def _number(text: str, largest: int, what: str) -> int:
    """A decimal number from 0; OfferError when it is none or too large."""
    # `isdigit` alone takes other scripts' digits, `int` alone takes signs and underscores.
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= largest):
        raise OfferError(f"{what} is not a number up to {largest}")
    return int(text)


def _check_count(what: str, count: int, most: int) -> None:
    """OfferError when there already are as many as there may be."""
    if count >= most:
        raise OfferError(f"more than {most} {what} entries")
