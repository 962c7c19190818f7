"""Reading a WebRTC offer (RFC 8866, RFC 8829): strict about size and shape, blind to the rest.

`parse_offer` reads lines into values and judges only their form; what the offer must contain for
this server is judged by the answer. Everything wrong with an offer is an `OfferError` with a
sentence that tells the developer of the client what to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

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
FINGERPRINTS_MAX = 8

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
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the side that states it receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """The direction of a side that sends and receives so."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE


@dataclass(frozen=True, slots=True)
class Codec:
    """One `a=rtpmap`, with its `a=fmtp` if there is one."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class TransportFacts:
    """What an m-line or the session says about ICE and DTLS; empty where it says nothing."""

    ice_ufrag: str = ""
    ice_pwd: str = ""
    setup: str = ""
    fingerprints: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """One m-line. `extensions` holds (id, uri) of those offered in both directions."""

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


@dataclass(frozen=True, slots=True)
class Offer:
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


@dataclass(slots=True)
class _Section:
    """The attributes collected so far for the session or one m-line."""

    media_line: str = ""
    values: dict[str, str] = field(default_factory=dict)  # the first of each attribute
    rtpmaps: dict[int, str] = field(default_factory=dict)
    fmtps: dict[int, str] = field(default_factory=dict)
    extmaps: list[str] = field(default_factory=list)
    ssrcs: dict[int, None] = field(default_factory=dict)
    fingerprints: list[tuple[str, str]] = field(default_factory=list)
    bundle: tuple[str, ...] = ()

    def add(self, name: str, value: str) -> None:
        """Take one attribute line; OfferError when it is malformed or one too many."""
        if name == "rtpmap":
            self._add_numbered(self.rtpmaps, name, value)
        elif name == "fmtp":
            self._add_numbered(self.fmtps, name, value)
        elif name == "extmap":
            _check_count(name, len(self.extmaps), EXTENSIONS_MAX)
            self.extmaps.append(value)
        elif name == "ssrc":
            _check_count(name, len(self.ssrcs), SSRCS_MAX)
            self.ssrcs[_number(value.partition(" ")[0], 0xFFFFFFFF, "a=ssrc")] = None
        elif name == "fingerprint":
            _check_count(name, len(self.fingerprints), FINGERPRINTS_MAX)
            self._add_fingerprint(value)
        elif name == "group" and value.startswith("BUNDLE") and not self.bundle:
            self.bundle = tuple(value.split()[1:])
        else:
            self.values.setdefault(name, value)

    @staticmethod
    def _add_numbered(into: dict[int, str], name: str, value: str) -> None:
        """Take an attribute that begins with a payload type."""
        _check_count(name, len(into), CODECS_MAX)
        payload_type, _, rest = value.partition(" ")
        into.setdefault(_number(payload_type, 127, f"a={name}"), rest)

    def _add_fingerprint(self, value: str) -> None:
        """Take a certificate fingerprint; other hashes than those we can check are left out."""
        algorithm, _, digest = value.strip().partition(" ")
        algorithm = algorithm.lower()
        if algorithm not in FINGERPRINT_DIGITS:
            return
        digits = digest.replace(":", "").upper()
        if len(digits) != FINGERPRINT_DIGITS[algorithm] or set(digits) - set("0123456789ABCDEF"):
            raise OfferError(f"a=fingerprint is not a {algorithm} digest")
        pairs = ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
        self.fingerprints.append((algorithm, pairs))

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
        for direction in Direction:
            if direction.value in self.values:
                return direction
        return default


def parse_offer(text: str) -> Offer:
    """Read an offer; OfferError when it is too long or not well-formed SDP."""
    session, sections = _sections(text)
    default = session.direction(Direction.SENDRECV)
    media = tuple(_media(index, section, default) for index, section in enumerate(sections))
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
    for kind, value in _lines(text):
        if kind == "m":
            _check_count("m-line", len(sections), MEDIA_MAX)
            current = _Section(media_line=value)
            sections.append(current)
        elif kind == "a":
            name, _, argument = value.partition(":")
            current.add(name, argument)
    if not sections:
        raise OfferError("the offer has no m-line")
    return session, sections


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """The type and value of each line; OfferError for a line that is not `x=...`."""
    if len(text) > OFFER_CHARS_MAX:
        raise OfferError(f"the offer is longer than {OFFER_CHARS_MAX} characters")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > LINES_MAX:
        raise OfferError(f"the offer has more than {LINES_MAX} lines")
    if lines[0] != "v=0":
        raise OfferError("the offer does not begin with v=0")
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_CHARS_MAX:
            raise OfferError(f"line {number} is longer than {LINE_CHARS_MAX} characters")
        if len(line) < 2 or line[1] != "=" or not line.isprintable():
            raise OfferError(f"line {number} is not SDP")
        yield line[0], line[2:]


def _media(index: int, section: _Section, default: Direction) -> OfferedMedia:
    """One m-line with its attributes."""
    fields = section.media_line.split(" ")
    if len(fields) < 4 or "" in fields or len(fields) - 3 > CODECS_MAX:
        raise OfferError(f"m-line {index} is malformed")
    mid = section.values.get("mid", "")
    if len(mid) > 64 or " " in mid:
        raise OfferError(f"the a=mid of m-line {index} is malformed")
    return OfferedMedia(
        index=index,
        kind=fields[0],
        port=_number(fields[1].partition("/")[0], 65_535, f"the port of m-line {index}"),
        protocol=fields[2],
        formats=tuple(fields[3:]),
        mid=mid,
        direction=section.direction(default),
        codecs=_codecs(section, fields[3:]),
        extensions=_extensions(section.extmaps),
        ssrcs=tuple(section.ssrcs),
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
        head, _, rest = value.partition(" ")
        digits, slash, direction = head.partition("/")
        # Ids up to 4351 are legal in an offer, to be renumbered by the answer; nobody does that.
        number = _number(digits, 4_351, "the id of an a=extmap")
        uri = rest.split(" ")[0]
        one_way = slash and direction != Direction.SENDRECV
        if uri and not one_way and number <= 255 and number not in (0, 15):
            found.setdefault(number, uri)
    return tuple(found.items())


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
