"""The media of thousands of virtual clients: sends their voices, receives and measures what comes.

One `Swarm` belongs to one thread. Sockets are the caller's: connected, non-blocking UDP, one for
each client. Unlike the rest of the compiled core it reads the clock: send times are stamped when a
packet is built, arrivals by the kernel. All times are `CLOCK_REALTIME` in ns.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from sfu.fast.measured import Aside, ListenerStats, Position

CLIENTS_MAX: int
VOICES_MAX: int
VOICE_STEPS_MAX: int
TRACKS_MAX: int
ONSETS_MAX: int
SEND_TIME_BYTES: int
STEP_NS: int

class Swarm:
    """Virtual clients by small integers; an id is used again after `remove_client`.

    An unknown or removed client raises KeyError, a closed swarm ValueError. To measure two
    populations apart (those already in, those who join), use two swarms.
    """

    def __init__(self, decrypt_every: int = 1, *, visit_every_ms: int = 40) -> None:
        """`decrypt_every` N in [1, 1000]: of each track only every Nth packet is decrypted and its
        delay measured, beside the first one and each onset; sequence, gaps and speakers are read
        from all.

        `visit_every_ms` in [0, 500]: how often `poll` reads the socket of a client that has keys.
        Reading several datagrams at once is cheaper, and arrivals are stamped by the kernel. A
        client without keys is read at each `poll`. 0: everybody at each `poll`.
        """
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def close(self) -> None:
        """Forget everything. Idempotent; the sockets stay open."""
    def add_client(self, fd: int) -> int:
        """A client on `fd`; switches on kernel receive timestamps and the drop count there.

        Call `remove_client` before the socket is closed. OSError when `fd` cannot be watched.
        """
    def set_keys(self, client: int, receive: Any, send: Any) -> None:
        """Give the two `pylibsrtp.Session`s; they are kept alive here. Also replaces them."""
    def remove_client(self, client: int) -> None: ...
    def add_voice(self, steps: Sequence[tuple[bytes, int]]) -> int:
        """What a talker says: one step for each 20 ms, looped.

        A step is an Opus packet of 20 ms that ends with at least 8 bytes of Opus padding (RFC 6716
        3.2.5; they get the send time), and its RFC 6464 octet: level 0..127, plus 128 for the voice
        bit. An empty packet: nothing is sent in this step (DTX). ValueError for anything else.
        """
    def talk(
        self,
        client: int,
        *,
        ssrc: int,
        payload_type: int,
        level_extension: int,
        voice: int,
        first_sequence: int,
        first_timestamp: int,
        start_ns: int,
        first_step: int = 0,
    ) -> None:
        """Say `voice` from `start_ns` on, a step each 20 ms; needs `set_keys`.

        `level_extension` is 1..14, 0 for none. The first packet and each one after a pause carry
        the marker bit. Replaces what the client was saying.
        """
    def hush(self, client: int) -> Position | None:
        """Say nothing more; returns where the talker stopped, None if it was silent."""
    def tick(self, now_ns: int) -> int:
        """Send every step that is due at `now_ns`; returns how many packets were sent.

        A talker that is behind by more than CATCH_UP_STEPS steps skips the older ones.
        """
    def next_due_ns(self) -> int | None:
        """When the next step of any talker is due; None when nobody talks."""
    def poll(self, datagrams: int = 65_536) -> list[Aside]:
        """Read the sockets whose turn it is; measures the media and returns the rest in order.

        Reads about that many at most (1 to 65,536; several come at once from a socket); the next
        call goes on where this one stopped. ValueError for another number.
        """
    def totals(self) -> dict[str, int]:
        """Counters since the start, also of clients removed since.

        Sending: `sent sent_bytes late_sends skipped_steps send_errors protect_errors`.
        Media: `received received_bytes decrypted lost reordered duplicates too_old`.
        Of it not measured: `untimed` (no send time inside), `negative_delays` (arrived before it
        was sent, counted as no delay), `unstamped` (no kernel timestamp: taken when read).
        Dropped: `auth_errors no_keys malformed unknown truncated untracked`.
        `socket_drops` (receive buffer full, as known with the next packet), `receive_errors`
        (ICMP answers), `datagrams` (everything read), `asides`; `clients` and `talkers` as of now.
        """
    def take_delays(self) -> list[int]:
        """Arrival minus send time of each decrypted packet: counts by bucket since the last
        call.
        """
    def take_gaps(self) -> list[int]:
        """Excess gap of each packet: arrival spacing minus RTP time spacing to the packet before
        it on its track, 0 when negative; not across a marker, another CSRC or a late packet.
        """
    def take_lateness(self) -> list[int]:
        """How long after it was due each packet was built."""
    @staticmethod
    def delay_edges_us() -> list[float]:
        """The lower edge of each bucket of all three histograms, in us, increasing.

        The first bucket begins at 0, the next at 1 us; each is at most 3.2 % wide up to 10 s; the
        last one has no upper edge.
        """
    def listener(self, client: int) -> ListenerStats: ...
