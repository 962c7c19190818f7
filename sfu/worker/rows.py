"""A newcomer's rows in the forwarder: the track it may publish, and those that it is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sfu.fast import Forwarder
from sfu.stage import NO_SOURCE, Admission
from sfu.transport.sdp import Negotiation


def add_source(
    forwarder: Forwarder, transport: int, admission: Admission, negotiation: Negotiation
) -> int:
    """The source of a transport, NO_SOURCE without an m-line for a microphone."""
    media = negotiation.source
    if media is None:
        return NO_SOURCE
    return forwarder.add_source(
        transport,
        csrc=admission.number,
        echo_group=admission.echo_group,
        payload_type=media.payload_type,
        red_payload_type=media.red_payload_type,
        level_extension=media.level_extension,
        ssrc=media.remote_ssrc,
        repeats=media.nack,
    )


def add_egresses(
    forwarder: Forwarder,
    transport: int,
    admission: Admission,
    negotiation: Negotiation,
    entropy: Callable[[int], bytes],
) -> list[int]:
    """The egresses of a transport, in the order of its m-lines."""
    return [
        forwarder.add_egress(
            transport,
            ssrc=media.ssrc,
            payload_type=media.payload_type,
            red_payload_type=media.red_payload_type,
            repeats=media.nack,
            # 1 to 32,767: a receiver that misses the first packets still guesses the roll-over
            # counter right (RFC 3711 3.3.1).
            first_sequence=1 + int.from_bytes(entropy(2), "big") % 32_767,
            first_timestamp=int.from_bytes(entropy(4), "big"),
            echo_group=admission.echo_group,
            level_extension=media.level_extension,
            mid_extension=media.mid_extension,
            transport_cc_extension=media.transport_cc_extension,
            transport_cc_borrowed=media.receives,
            mid=media.mid.encode() if media.mid_extension else b"",
        )
        for media in negotiation.egresses
    ]


def red_of(egresses: Sequence[int], negotiation: Negotiation) -> list[int]:
    """Those of the egresses that take RED."""
    pairs = zip(egresses, negotiation.egresses, strict=True)
    return [egress for egress, media in pairs if media.red_payload_type]
