"""ICE-lite for one participant: connectivity checks in, answers and the media address out.

The server has host candidates on one public port and never sends a check. What a lite agent needs:

- A request is answered only if it carries `USERNAME local:remote` and MESSAGE-INTEGRITY by the
  local password. Everything else is dropped without an answer and changes nothing, so that the
  port is no reflector. Answers to authentic requests are at most half as long again as the request.
- Each authentic request makes its source a validated address: datagrams of other kinds are accepted
  from validated addresses alone, and authentic requests are the consent to send (RFC 7675).
- One validated address is current; media goes there:
    never validated before     -> current at once: the client moved, or its NAT did
    validated, USE-CANDIDATE   -> current at once: the client chose
    validated, plain check     -> current only if the current one has been quiet for a while: with
                                  plain checks a client also keeps its spare paths alive
- A restart (RFC 8445 9) adds credentials; those before stay valid until the first authentic check
  with newer ones, because until then the client may not know of these. Addresses stay validated.
- The peer is controlling, because we are lite; ICE-CONTROLLED is a role conflict (7.3.1.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from sfu.fast import PathChecks
from sfu.transport.limits import StunLimiter, TokenBucket
from sfu.transport.stun import (
    BINDING_ERROR,
    BINDING_REQUEST,
    BINDING_RESPONSE,
    ERROR_CODE,
    ICE_CONTROLLED,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    StunError,
    StunMessage,
    build_message,
    error_code,
    parse_message,
    unknown_attributes,
    username_of,
    xor_mapped_address,
)

__all__ = ["IceCredentials", "IceDrop", "IceLite", "IceOutcome", "StunLimiter", "username_of"]

# A phone has a few interfaces, each IPv4 and IPv6, perhaps relayed as well. More is somebody
# playing.
ADDRESSES_MAX = 8
# A path that the client did not choose may be left as soon as it misses a beat.
QUIET_AFTER_S = 1.0
# A chosen path is checked every 2.5 s by Chromium even when no media flows; its spare paths are
# checked too. Less than that would let the spare checks pull media away from the chosen path.
CHOSEN_QUIET_AFTER_S = 3.0
# Checks that pass through before HMAC: about 20/s on each pair while connecting, for several pairs.
CHECKS_PER_S = 50.0
CHECKS_BURST = 100.0
# From addresses not yet validated, all together: each source is limited before this, and one that
# learnt the user fragment must not use up what the client's next address needs.
NEW_CHECKS_PER_S = 500.0
# Answer bytes per question byte: what keeps the server useless for amplification.
AMPLIFICATION_MAX = 1.5

# Restarts whose credentials no check has used yet. The client may be at the last one's or, when an
# answer was late or lost, at the one's before; older ones are forgotten.
WAITING_MAX = 2

_Attributes = tuple[tuple[int, bytes], ...]


class IceDrop(StrEnum):
    """Why a message was not answered with success; the names go into counters."""

    MALFORMED = "malformed"
    NOT_REQUEST = "not_request"
    USERNAME = "username"
    INTEGRITY = "integrity"
    RATE = "rate"
    UNKNOWN_ATTRIBUTE = "unknown_attribute"  # answered 420
    ROLE_CONFLICT = "role_conflict"  # answered 487


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """Both sides' user fragments and passwords, as the offer and the answer state them."""

    local_ufrag: str
    local_pwd: str
    remote_ufrag: str
    remote_pwd: str

    @property
    def username(self) -> bytes:
        """What the client's checks say (RFC 8445 7.2.2)."""
        return f"{self.local_ufrag}:{self.remote_ufrag}".encode()


@dataclass(frozen=True, slots=True)
class IceOutcome:
    """What one message came to. Addresses are 18 bytes; None where nothing changed."""

    drop: IceDrop | None = None
    reply: bytes | None = None  # goes back to the source of the message
    validated: bytes | None = None  # from now on, accept other datagrams from here
    revoked: bytes | None = None  # no longer accept any from here
    routed: bytes | None = None  # send media here from now on
    retired: tuple[str, ...] = ()  # local user fragments that are not ours any more

    @property
    def authenticated(self) -> bool:
        """Whether this was an authentic check: the peer is there and consents."""
        return self.drop is None


class IceLite:
    """One participant's checks and addresses. Never raises for what comes from the network."""

    __slots__ = (
        "_addresses",
        "_chosen",
        "_current",
        "_local_pwd",
        "_new_rate",
        "_path_checks",
        "_username",
        "_waiting",
        "credentials",
    )

    def __init__(self, credentials: IceCredentials, now: float) -> None:
        self.credentials = credentials
        self._username = credentials.username
        self._local_pwd = credentials.local_pwd.encode()
        self._waiting: tuple[IceCredentials, ...] = ()  # of restarts, oldest first
        self._addresses: dict[bytes, float] = {}  # when last heard, least recent first
        self._current: bytes | None = None
        self._chosen = False  # the current address came with USE-CANDIDATE
        # Apart, so that strangers who learnt the user fragment cannot starve the real path.
        self._path_checks = PathChecks(
            self._username, self._local_pwd, CHECKS_PER_S, CHECKS_BURST, now
        )
        self._new_rate = TokenBucket(NEW_CHECKS_PER_S, NEW_CHECKS_PER_S, now)

    def __repr__(self) -> str:
        return f"<IceLite {self.credentials.local_ufrag} addresses={len(self._addresses)}>"

    @property
    def current(self) -> bytes | None:
        """Where media goes, None before the first authentic check."""
        return self._current

    @property
    def addresses(self) -> tuple[bytes, ...]:
        """The validated addresses, least recently heard first."""
        return tuple(self._addresses)

    @property
    def ufrags(self) -> tuple[str, ...]:
        """The local user fragments that checks may name, that in use first."""
        return (self.credentials.local_ufrag, *(entry.local_ufrag for entry in self._waiting))

    def restart(self, credentials: IceCredentials) -> tuple[str, ...]:
        """Take checks with these as well; the first of them ends all older credentials.

        Returns the user fragments that are forgotten now, because too many restarts wait.
        """
        waiting = (*self._waiting, credentials)
        self._waiting = waiting[-WAITING_MAX:]
        return tuple(entry.local_ufrag for entry in waiting[:-WAITING_MAX])

    def heard_at(self, address: bytes) -> float | None:
        """When `address` last proved to be this participant's, None if it is not."""
        return self._addresses.get(address)

    def heard(self, address: bytes, now: float) -> None:
        """Something else that proves who sent it, as RTCP does, came from `address`."""
        if address in self._addresses:
            self._touch(address, now)

    def forget(self, address: bytes) -> None:
        """The address was validated by another participant: it is no longer this one's."""
        self._addresses.pop(address, None)
        if address == self._current:
            self._current = None
            self._path_checks.follow(None)

    def receive(self, data: bytes, address: bytes, now: float) -> IceOutcome:
        """Take one STUN datagram that came from `address`."""
        rate = self._path_checks if address in self._addresses else self._new_rate
        if not rate.take(now):
            return IceOutcome(IceDrop.RATE)
        try:
            message = parse_message(data)
        except StunError:
            return IceOutcome(IceDrop.MALFORMED)
        retired: tuple[str, ...] = ()
        if self._waiting:
            retired = self._adopt(message, now)
        outcome = self._answer(message, address, len(data), now)
        return replace(outcome, retired=retired) if retired else outcome

    def _answer(
        self, message: StunMessage, address: bytes, question_bytes: int, now: float
    ) -> IceOutcome:
        """What a well-formed message comes to."""
        drop = self._refusal(message)
        if drop is not None:
            return IceOutcome(drop)
        unknown = message.not_understood()
        if unknown:
            listed = (UNKNOWN_ATTRIBUTES, unknown_attributes(unknown))
            attributes: _Attributes = ((ERROR_CODE, error_code(420)), listed)
            reply = self._reply(BINDING_ERROR, message, attributes, question_bytes)
            return IceOutcome(IceDrop.UNKNOWN_ATTRIBUTE, reply)
        if ICE_CONTROLLED in message.attributes:
            attributes = ((ERROR_CODE, error_code(487)),)
            reply = self._reply(BINDING_ERROR, message, attributes, question_bytes)
            return IceOutcome(IceDrop.ROLE_CONFLICT, reply)
        value = xor_mapped_address(address, message.transaction_id)
        attributes = ((XOR_MAPPED_ADDRESS, value),)
        reply = self._reply(BINDING_RESPONSE, message, attributes, question_bytes)
        return self._accept(address, USE_CANDIDATE in message.attributes, reply, now)

    def renew(self, data: bytes, address: bytes, now: float) -> bytes | None:
        """The answer to an authentic check on the path in use, where nothing else changes.

        None when it may be anything else: nothing has happened then, and `receive` will see. This
        is what a client in a silent room does for hours, so it takes one compiled call.
        """
        answered = self._path_checks.answer(data, address, now)
        if answered is None:
            return None
        reply, is_nominating = answered
        if is_nominating:
            self._chosen = True
        self._touch(address, now)
        return reply

    def _adopt(self, message: StunMessage, now: float) -> tuple[str, ...]:
        """An authentic request with newer credentials ends the older ones: returns their user
        fragments.
        """
        username = message.attributes.get(USERNAME)
        for place, newer in enumerate(self._waiting):
            if message.message_type != BINDING_REQUEST or username != newer.username:
                continue
            if not message.is_signed_by(newer.local_pwd.encode()):
                break
            retired = self.ufrags[: place + 1]
            self.credentials, self._waiting = newer, self._waiting[place + 1 :]
            self._username, self._local_pwd = newer.username, newer.local_pwd.encode()
            self._path_checks = PathChecks(
                self._username, self._local_pwd, CHECKS_PER_S, CHECKS_BURST, now
            )
            self._path_checks.follow(self._current)
            return retired
        return ()

    def _refusal(self, message: StunMessage) -> IceDrop | None:
        """Why a message gets no answer, None if it is an authentic request for this participant."""
        if message.message_type != BINDING_REQUEST:
            return IceDrop.NOT_REQUEST
        if message.attributes.get(USERNAME) != self._username:
            return IceDrop.USERNAME
        if not message.is_signed_by(self._local_pwd):
            return IceDrop.INTEGRITY
        return None

    def _reply(
        self, kind: int, message: StunMessage, attributes: _Attributes, question_bytes: int
    ) -> bytes:
        """An answer to an authentic request.

        It never is too long: a signed request with a USERNAME has at least 52 bytes and 4 for each
        attribute more; the longest success, over IPv6, has 76, and an error 64 and 2 for each.
        """
        reply = build_message(kind, message.transaction_id, attributes, self._local_pwd)
        assert len(reply) <= AMPLIFICATION_MAX * question_bytes
        return reply

    def _accept(self, address: bytes, chosen: bool, reply: bytes, now: float) -> IceOutcome:
        """An authentic check came from `address`: keep it and decide where media goes."""
        new = address not in self._addresses
        moves = self._moves_to(address, new, chosen, now)
        self._touch(address, now)
        if moves:
            self._current = address
            self._path_checks.follow(address)
            self._chosen = chosen
        elif chosen:
            self._chosen = True
        return IceOutcome(
            reply=reply,
            validated=address if new else None,
            revoked=self._revoke_oldest(address) if new else None,
            routed=address if moves else None,
        )

    def _moves_to(self, address: bytes, new: bool, chosen: bool, now: float) -> bool:
        """Whether media goes to `address` from now on; the rules are in the module's docstring."""
        if address == self._current:
            return False
        if new or chosen or self._current is None:
            return True
        quiet_s = CHOSEN_QUIET_AFTER_S if self._chosen else QUIET_AFTER_S
        return now - self._addresses[self._current] > quiet_s

    def _touch(self, address: bytes, now: float) -> None:
        """Note that `address` was heard, as the most recent one."""
        if len(self._addresses) > 1:
            self._addresses.pop(address, None)
        self._addresses[address] = now

    def _revoke_oldest(self, newest: bytes) -> bytes | None:
        """Drop the least recently heard address above the limit, but not the current or newest."""
        if len(self._addresses) <= ADDRESSES_MAX:
            return None
        oldest = next(a for a in self._addresses if a not in (self._current, newest))
        del self._addresses[oldest]
        return oldest
