"""What a load needs of a media server: the interface behind `--target`.

A target starts its server (or takes a running one), makes rooms, and negotiates for clients. It
hides how its server is spoken to and who makes the offer there:

    async with target:                                     # start() ... stop()
        await target.create_room("r1", slots=3, speakers=3)
        await target.join("r1", "s1", "speaker", peer)     # `peer`: the client, see `Peer`
        peer.connect()                                     # ICE, DTLS, media: the client's own
        before, packets = read_usage(target.pids()), received()

Add a server by writing a class with the members of `Target`; README.md tells how.

Every client is the ICE controlling side and the DTLS client (`a=setup:active` in what it answers),
whoever offered: a target whose server would choose otherwise has to arrange that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self

Role = Literal["speaker", "listener"]


class TargetError(Exception):
    """The server cannot be run or asked; the text is one line for the user (exit status 2)."""


class JoinRefused(Exception):
    """The server refused this one client; the text says why. The load counts it and goes on.

    `limit` names the exhausted limit where the server told one, such as `node_participants`.
    """

    def __init__(self, message: str, *, limit: str | None = None) -> None:
        super().__init__(message)
        self.limit = limit


@dataclass(frozen=True)
class Place:
    """Where a server is started: its address, the core it may use, the network namespace."""

    address: str = "127.0.0.1"
    cpu: int | None = None
    namespace: str | None = None  # a name of `ip netns`; None is the load's own


@dataclass(frozen=True)
class Lines:
    """Audio m-lines of an offer: line 0 sends (too) when `sends`, the first `receives` receive.

    `Lines(True, 0)` is one `sendonly` line, `Lines(True, 3)` one `sendrecv` and two `recvonly`,
    `Lines(False, 3)` three `recvonly`.
    """

    sends: bool
    receives: int

    @property
    def count(self) -> int:
        """How many m-lines that is."""
        return max(self.receives, 1 if self.sends else 0)


class Peer(Protocol):
    """A client's side of one negotiation. A target calls either offer and accept, or answer.

    Descriptions are whole: no trickle, candidates of the server inside. The client needs none of
    its own; a server learns its address from its connectivity checks (peer reflexive).
    """

    def offer(self, lines: Lines) -> str:
        """An SDP offer: `a=setup:actpass`, BUNDLE, rtcp-mux, Opus, level and MID extensions."""
        ...

    def accept(self, answer: str) -> None:
        """The server's answer to that offer. Raises ValueError when it cannot be used."""
        ...

    def answer(self, offer: str) -> str:
        """An SDP answer (`a=setup:active`) to the server's offer, every m-line accepted.

        The payload type and extension ids are the offer's, and may differ from the client's own.
        Raises ValueError when the offer cannot be used.
        """
        ...


class Target(Protocol):
    """One media server under load. All of it runs on the load's event loop."""

    @property
    def name(self) -> str:
        """What reports call it: `rostrum`, `janus`."""
        ...

    @property
    def version(self) -> str:
        """The server's own version; known after start()."""
        ...

    @property
    def media_address(self) -> str:
        """The IP address media goes to; its family is the one the clients' sockets need."""
        ...

    @property
    def hears_later_speakers(self) -> bool:
        """Whether a listener hears speakers who join after it, without another negotiation."""
        ...

    async def start(self) -> None:
        """Until the server can be joined. Raises TargetError."""
        ...

    async def stop(self) -> None:
        """End what start() began, and remove its files. Idempotent, also after a failed start."""
        ...

    def pids(self) -> list[int]:
        """The server's processes, for processes.read_usage(). Empty: not known here."""
        ...

    async def create_room(self, room: str, *, slots: int, speakers: int) -> None:
        """A room for so many speakers, where a listener hears up to `slots` at once.

        A server without slots forwards every speaker. Raises TargetError when it is refused.
        """
        ...

    async def join(self, room: str, participant: str, role: Role, peer: Peer) -> None:
        """Negotiate for one client. Returns when both sides know each other's description.

        The client sends nothing before. Many joins may run at once; a listener's may wait until the
        speakers that joined before it are connected. Raises JoinRefused, TargetError when the
        server cannot be reached any more, and what `peer` raises.
        """
        ...

    async def leave(self, room: str, participant: str) -> None:
        """Take a client out; one that is not there any more is no error."""
        ...

    async def counters(self) -> dict[str, int]:
        """Totals since the start by the server's names, and under these where it counts them.

        `forwarded`: RTP packets sent to clients; `received`: RTP packets taken from clients;
        `dropped`: RTP packets lost in the server. Where `forwarded` is missing the load counts what
        its clients received instead, which leaves out what was lost on the way.
        """
        ...

    async def __aenter__(self) -> Self:
        """start(); after an error stop()."""
        ...

    async def __aexit__(self, *error: object) -> None:
        """stop()."""
        ...
