"""DTLS as the transport sees it: datagrams in, datagrams out, keys at the end (RFC 5764).

The implementation over OpenSSL lives in the shell, because OpenSSL brings its own clock and
entropy; the simulator brings a fake one with keys from its seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class DtlsState(Enum):
    """Only ever moves down this list."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"  # close_notify was received or sent
    FAILED = "failed"  # handshake refused or the peer's fingerprint did not match


class SrtpProfile(Enum):
    """The protection profiles this server accepts, preferred first."""

    AEAD_AES_128_GCM = "SRTP_AEAD_AES_128_GCM"
    AES_CM_128_HMAC_SHA1_80 = "SRTP_AES128_CM_SHA1_80"

    @property
    def key_bytes(self) -> int:
        """Length of the master key."""
        return 16

    @property
    def salt_bytes(self) -> int:
        """Length of the master salt (RFC 7714 12, RFC 5764 4.1.2)."""
        return 12 if self is SrtpProfile.AEAD_AES_128_GCM else 14


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master key followed by master salt, for each direction as this side sees it."""

    profile: SrtpProfile
    receive: bytes
    send: bytes


class DtlsEndpoint(Protocol):
    """One DTLS association, server (passive) role. Never raises for what the peer sends."""

    @property
    def state(self) -> DtlsState: ...
    def receive(self, datagram: bytes, now: float) -> None:
        """Feed one datagram whose first byte is 20..63."""

    def handle_timer(self, now: float) -> None:
        """Retransmit what is due."""

    def next_deadline(self) -> float | None:
        """When `handle_timer` wants to be called, None for never."""

    def datagrams_to_send(self) -> list[bytes]:
        """Take what is to be sent, each at most 1,200 bytes."""

    def srtp_keys(self) -> SrtpKeys:
        """The keys, once CONNECTED (the peer's fingerprint matched)."""

    def close(self) -> None:
        """Queue close_notify; immediate and idempotent."""


class DtlsFactory(Protocol):
    """What makes endpoints: the certificate and context shared by all of them."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, `AB:CD:...`, for `a=fingerprint:sha-256`."""

    def accept(self, peer_fingerprints: tuple[tuple[str, str], ...]) -> DtlsEndpoint:
        """A passive endpoint for a peer that promised one of these (algorithm, digest) pairs."""
