"""What a transport tells its owner: facts in the past tense, in order, each an immutable value."""

from __future__ import annotations

from dataclasses import dataclass

from pylibsrtp import Session

from control.types import LeaveReason
from sfu.transport.dtls import SrtpKeys
from sfu.transport.ice import IceOutcome


@dataclass(frozen=True, slots=True)
class Validated:
    """Accept datagrams from this address."""

    address: bytes


@dataclass(frozen=True, slots=True)
class Revoked:
    """No longer accept datagrams from this address."""

    address: bytes


@dataclass(frozen=True, slots=True)
class Routed:
    """Send media to this address."""

    address: bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """The handshake is done. The transport uses the same two sessions for RTCP."""

    keys: SrtpKeys
    receive: Session
    send: Session


@dataclass(frozen=True, slots=True)
class Checked:
    """The first authentic sign of the client: it is connecting."""


@dataclass(frozen=True, slots=True)
class Connected:
    """Media can flow; follows `Keys`."""


@dataclass(frozen=True, slots=True)
class Suspected:
    """The client has gone quiet."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A suspected client was heard again."""


@dataclass(frozen=True, slots=True)
class Retired:
    """This local user fragment is not the participant's any more: a restart has replaced it."""

    ufrag: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection ended by itself, for this reason; nothing follows."""

    reason: LeaveReason


TransportEvent = (
    Validated
    | Revoked
    | Routed
    | Keys
    | Checked
    | Connected
    | Suspected
    | Recovered
    | Retired
    | Closed
)


def told_by(outcome: IceOutcome) -> list[TransportEvent]:
    """What a check changed about credentials and addresses."""
    told: list[TransportEvent] = [Retired(ufrag) for ufrag in outcome.retired]
    if outcome.revoked is not None:
        told.append(Revoked(outcome.revoked))
    if outcome.validated is not None:
        told.append(Validated(outcome.validated))
    if outcome.routed is not None:
        told.append(Routed(outcome.routed))
    return told
