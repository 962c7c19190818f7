"""SRTP sessions from the keys of a DTLS handshake (RFC 3711, RFC 7714, RFC 5764)."""

from __future__ import annotations

from pylibsrtp import Policy, Session

from sfu.transport.dtls import SrtpKeys, SrtpProfile

# Packets back in time that are still taken: 20 s of 20 ms audio.
RECEIVE_WINDOW = 1024
# Those that may still be sent late or again: 2.5 s. Each packet shifts the whole window, and many
# more are sent than received.
SEND_WINDOW = 128

_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


def receive_session(keys: SrtpKeys) -> Session:
    """What unprotects the packets of the peer, of whatever SSRC."""
    return Session(_policy(keys.profile, keys.receive, Policy.SSRC_ANY_INBOUND, RECEIVE_WINDOW))


def send_session(keys: SrtpKeys, *, repeats: bool = False) -> Session:
    """What protects packets for the peer, of whatever SSRC.

    With `repeats` the same packet may be sent again. Then libsrtp no longer notices when another
    one gets the same number, which would betray both: only for who may ask for packets again.
    """
    policy = _policy(keys.profile, keys.send, Policy.SSRC_ANY_OUTBOUND, SEND_WINDOW)
    policy.allow_repeat_tx = repeats
    return Session(policy)


def _policy(profile: SrtpProfile, key_and_salt: bytes, ssrc_type: int, window: int) -> Policy:
    """One direction's policy."""
    expected = profile.key_bytes + profile.salt_bytes
    if len(key_and_salt) != expected:
        raise ValueError(f"{profile.value} takes {expected} bytes, not {len(key_and_salt)}")
    policy = Policy(key=key_and_salt, ssrc_type=ssrc_type, srtp_profile=_PROFILES[profile])
    policy.window_size = window
    return policy
