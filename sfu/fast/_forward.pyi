"""The forwarder: packets in, packets out, by tables that Python writes on change. Pure: no socket,
no clock.

See sfu/fast/README.md for the theory: sources, slots, streams, egresses and their numbering. All
ids are small integers given out by `add_*`; using one after `remove_*` raises KeyError. `now` is
monotonic seconds and must not go backwards.
"""

from collections.abc import Sequence
from typing import Any

from sfu.fast._batch import Batch
from sfu.fast.records import (
    Challenge,
    Delivery,
    EgressStats,
    Gap,
    Slow,
    SourceLevel,
    SourceStats,
    Tapped,
)

STUN: int
DTLS: int
RTCP: int

class Forwarder:
    """Tables of transports, sources, slots, streams and egresses, and the walk over them for each
    packet.

    One input (`receive`, `push`, `accept`), then `drain` until it returns False, then the next
    input.
    """

    def __init__(self) -> None: ...
    def add_transport(self) -> int: ...
    def remove_transport(self, transport: int) -> None:
        """Forget a transport, its addresses, its source and its egresses."""
    def set_keys(self, transport: int, receive: Any, send: Any) -> None:
        """Give the two `pylibsrtp.Session`s; media flows from now on. They are kept alive here."""
    def allow(self, transport: int, address: bytes) -> None:
        """STUN has validated `address`: accept its datagrams for `transport` (an address has one
        transport).
        """
    def revoke(self, address: bytes) -> None:
        """Accept nothing more from `address`, and send nothing more to it."""
    def route(self, transport: int, address: bytes) -> None:
        """Send this transport's media to `address` from now on."""
    def reidentify(self, transport: int, *, csrc: int, echo_group: int) -> None:
        """Another participant's numbers for what a transport sends and gets; the rest goes on:
        keys, addresses, levels, statistics, SSRCs, sequence and time.

        ValueError while its source holds a slot or an egress carries a stream.
        """
    def add_source(
        self,
        transport: int,
        *,
        csrc: int,
        echo_group: int,
        payload_type: int,
        red_payload_type: int = 0,
        level_extension: int = 0,
        ssrc: int = 0,
        repeats: bool = False,
    ) -> int:
        """The one track that a transport may publish; inaudible until `set_audible`.

        `red_payload_type` (0: none): its packets may also come in RED of blocks of `payload_type`.
        `repeats`: the publisher sends again what it is asked for, so `gaps` tells what is missing.

        `level_extension` 0: not negotiated. `ssrc` 0: the first authenticated one is taken.
        `echo_group`: egresses of the same group never get this source.
        """
    def remove_source(self, source: int) -> None: ...
    def set_audible(self, source: int, audible: bool) -> None:
        """Mute and role, enforced at ingress: packets of an inaudible source are counted and
        dropped.
        """
    def set_measured_level(self, source: int, level: int | None) -> None:
        """What whoever decodes `source` found its level to be (0..127 = -dBov): it counts instead
        of what packets claim, until None or for 1 s after the input before this call.
        """
    def level(self, source: int, now: float) -> SourceLevel: ...
    def levels(self, sources: list[int], now: float) -> list[SourceLevel]:
        """Of each of `sources`, in their order: a whole room in one call."""
    def source_stats(self, source: int) -> SourceStats: ...
    def add_audience(self) -> int:
        """Those who listen to the same slots, for `set_segmented`."""
    def remove_audience(self, audience: int) -> None:
        """Its slots must have been removed before."""
    def set_segmented(self, audience: int, segmented: bool) -> None:
        """Hold the packets of these slots back until each that talks has brought one, at most
        20 ms, so that a listener's packets leave together; drain afterwards.
        """
    def next_flush(self) -> float | None:
        """When `flush` has something to do, None for never."""
    def flush(self, now: float) -> None:
        """What has been held back, or packed, for long enough goes out; drain afterwards."""
    def add_slot(self, audience: int = -1, *, lean: bool = False) -> int:
        """A virtual microphone; of an audience, which has at most 8.

        `lean`: its packets carry no CSRC and no header extensions but the number of a stamped
        transport, for listeners whose line is too narrow for either.
        """
    def remove_slot(self, slot: int) -> None: ...
    def assign(self, slot: int, source: int, now: float) -> None:
        """`source` (-1: nobody) holds `slot` from now on. A source holds at most one slot."""
    def slot_stream(self, slot: int, redundancy: int = 0, *, packed: bool = False) -> int:
        """The stream of the slot's packets as they come, or each in RED with up to `redundancy` (1
        or 2) earlier ones of the same voice; `packed`: up to 60 ms of them in one, made only while
        somebody carries it. All have the slot's times, the packed ones numbers of their own.

        An egress that changes between streams of one slot hears all of it once; drain afterwards,
        or at `next_flush`.
        """
    def push(
        self,
        stream: int,
        payload: bytes,
        now: float,
        *,
        at: float | None = None,
        csrcs: Sequence[int] = (),
        level: int = 127,
        yields: bool = False,
        marker: bool = False,
    ) -> bool:
        """Put an Opus packet made here at the end of a stream's timeline, due at `now`; drain
        afterwards. False when the last packet has not ended yet: nothing is sent.

        With `at` it is stamped with that time (seconds, as `now`), whenever it is pushed; False
        when the last packet ends more than 20 ms after it, or `at` is more than 500 ms before
        `now` or 20 ms after it. With `yields` it is never put ahead of the clock: whoever takes the
        slot next, at whatever moment, loses nothing. One or the other. `csrcs`: at most 3.
        """
    def tap(self, slot: int, on: bool) -> None:
        """Tell by `taken` of every packet that gets its place on the slot, late, recovered and
        pushed ones too.
        """
    def taken(self) -> list[Tapped]:
        """What was placed on tapped slots since the last call, in that order; after a drained
        input. At most 1,024: more are counted as `taps_dropped`.
        """
    def add_egress(
        self,
        transport: int,
        *,
        ssrc: int,
        payload_type: int,
        first_sequence: int,
        first_timestamp: int,
        echo_group: int,
        level_extension: int = 0,
        mid_extension: int = 0,
        mid: bytes = b"",
        red_payload_type: int = 0,
        repeats: bool = False,
        transport_cc_extension: int = 0,
        transport_cc_borrowed: bool = False,
    ) -> int:
        """An output track of a transport. `first_sequence` is in [1, 32767].

        With `red_payload_type` it may carry RED streams; with `repeats` it may be asked to
        `resend`, for which the transport's sending session must allow repeated packets. Such a
        session does not notice two texts under one number, so ValueError for an `ssrc` that
        another egress of the transport has, or had when it sent under the same keys.

        A `level_extension`/`mid_extension` of 0 leaves that extension out; an id above 14 makes the
        header two-byte form (RFC 8285 4.3). With `transport_cc_extension` its packets carry a
        transport-wide number while the transport is `set_stamped`. `transport_cc_borrowed`: that
        was agreed on for other tracks of the transport; until the listener tells that one of these
        packets came, those that it calls lost are not, and after 512 the others go without.
        """
    def remove_egress(self, egress: int) -> None: ...
    def subscribe(self, egress: int, stream: int) -> None:
        """`egress` carries `stream` (-1: nothing) from the next packet on; sequence and time
        continue.
        """
    def egress_stream(self, egress: int) -> int:
        """The stream that it carries, -1 for nothing."""
    def carriers(self, stream: int) -> int:
        """How many egresses carry it."""
    def behind(self, now: float) -> list[int]:
        """Egresses that should have carried packets and have not for a second: subscribed, with
        keys and a route, of another echo group than the newest packet's, while the stream flows
        (no pause of a second) and has done so for longer than that.
        """
    def resend(self, egress: int, sequences: list[int], now: float, spacing_s: float = 0.0) -> int:
        """Send packets again, by the listener's own sequence numbers, bit for bit; drain
        afterwards. How many: those sent since the last anchor, at most 0.5 s old, twice at most and
        not twice within `spacing_s` (what came late from its publisher not even once), a quarter of
        what was sent, the first 64 of `sequences`. The rest is counted as refused.
        """
    def egress_stats(self, egress: int) -> EgressStats: ...
    def set_stamped(self, transport: int, on: bool) -> None:
        """Number the packets of all egresses that agreed on it in one transport-wide sequence, and
        remember the newest 512 until the listener tells what came of them. Switching off forgets
        them; the numbers go on when it is switched on again.
        """
    def deliveries(self, transport: int, feedback: bytes, now: float) -> list[Delivery]:
        """What transport-wide feedback tells (RTPFB format 15, from after the two SSRCs on, without
        RTCP padding) of packets that are remembered, in the order in which they left. Each packet
        is told of once, none that left more than 10 s ago.

        Empty and counted (`feedback_malformed`) when it is malformed or about what was never sent.
        """
    def wire_bytes(self, transport: int) -> int:
        """What was sent on its egresses, with IP and UDP headers and whatever was sent again."""
    def receive(self, inbox: Batch, now: float) -> None:
        """Take a batch; `inbox` must stay unchanged until `drain` returns False."""
    def drain(self, outbox: Batch) -> bool:
        """Work on, appending to `outbox`; True when full: send and clear it, call again."""
    def challenges(self) -> list[Challenge]:
        """Take the challenges of the drained batch."""
    def accept(self, handle: int) -> None:
        """The challenger of `handle` got a slot (`assign` first): forward that packet too; drain
        afterwards.
        """
    def slow(self) -> list[Slow]:
        """Take the slow records of the drained batch."""
    def gaps(self) -> list[Gap]:
        """Take what is missing of slot holders that repeat, each gap once. Empty nearly always."""
    def missing(self, source: int, ssrc: int, sequences: list[int]) -> list[int]:
        """Those of `sequences` that are worth asking for: they have not come, their place on the
        slot's stream is free, and the source is audible under this SSRC. What comes of them from
        now on counts as lost in `source_stats`, and as `repaired`.
        """
    def counters(self) -> dict[str, int]:
        """`received forwarded forwarded_bytes challenges protect_errors overlapping ssrc_changes
        recovered repaired resent resends_refused packed packed_late taps_dropped stamped
        stamped_arrived stamped_lost feedback_malformed held held_us`, and `dropped_<reason>`.
        """
    def sizes(self) -> dict[str, int]:
        """How many of each are alive: transports addresses sources slots streams egresses
        audiences."""
