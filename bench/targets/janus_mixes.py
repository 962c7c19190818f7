"""Janus as a target that mixes: its AudioBridge plugin, and its Streaming plugin fed by one mix.

AudioBridge mixes a room and encodes for every participant by itself: whoever is in it, listeners
too, gets a mix without the own voice from an encoder of its own. The client offers.

The Streaming plugin forwards one RTP stream to all who watch. Here that stream is the mix of an
AudioBridge room in the same Janus, encoded once and sent over the loopback of the server's place:
what Janus offers to a large audience of a mixed room. Speakers are in the AudioBridge, listeners
watch: Janus offers, the client answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bench.targets import Lines, Peer, Place, Role
from bench.targets.janus_config import Settings
from bench.targets.janus_server import JanusServer, as_dtls_client, description

_BRIDGE: Final = "audiobridge"
_STREAMING: Final = "streaming"
# Where the mixes of the rooms go, one port each: nobody else is in the server's namespace.
_FIRST_PORT: Final = 20_000
_OPUS: Final = 111


@dataclass(frozen=True)
class Mix:
    """How AudioBridge mixes and encodes: as the mix of `rostrum` that it is compared with."""

    rate: int = 48_000
    bitrate_bps: int = 32_000


class AudioBridge(JanusServer):
    """Rooms where every listener has a mix and an encoder of its own."""

    name = "janus-audiobridge"
    plugins: tuple[str, ...] = (_BRIDGE,)
    hears_later_speakers = True

    def __init__(
        self, place: Place, *, settings: Settings | None = None, mix: Mix | None = None
    ) -> None:
        super().__init__(place, settings=settings)
        self._mix = mix or Mix()
        self._keeper = 0  # the handle that makes rooms

    async def _prepare(self) -> None:
        self._keeper = await self._api.attach(_BRIDGE)

    async def create_room(self, room: str, *, slots: int, speakers: int) -> None:
        """A room that mixes everybody; `slots` and `speakers` have no meaning here."""
        body = {
            "request": "create",
            "room": room,
            "sampling_rate": self._mix.rate,
            "default_bitrate": self._mix.bitrate_bps,
            "audiolevel_ext": True,
            "audiolevel_event": False,
            "record": False,
        }
        await self._ask_for_room(room, self._keeper, body)

    async def join(self, room: str, participant: str, role: Role, peer: Peer) -> None:
        """The client offers one line; a listener is a participant who is muted."""

        async def negotiate(handle: int) -> None:
            lines = Lines(sends=role == "speaker", receives=1)
            body = {
                "request": "join",
                "room": room,
                "id": participant,
                "muted": role != "speaker",
                "bitrate": self._mix.bitrate_bps,
            }
            offer = as_dtls_client(peer.offer(lines))
            joined = await self._api.message(handle, body, {"type": "offer", "sdp": offer})
            peer.accept(description(joined))

        await self._enter(_BRIDGE, (room, participant), negotiate)


class StreamedMix(AudioBridge):
    """The same rooms for speakers; listeners get the room's one mix by the Streaming plugin."""

    name = "janus-streaming"
    plugins = (_BRIDGE, _STREAMING)

    def __init__(
        self, place: Place, *, settings: Settings | None = None, mix: Mix | None = None
    ) -> None:
        super().__init__(place, settings=settings, mix=mix)
        self._streams = 0  # the handle that makes them
        self._ports = 0

    async def _prepare(self) -> None:
        await super()._prepare()
        self._streams = await self._api.attach(_STREAMING)
        self._ports = 0

    async def create_room(self, room: str, *, slots: int, speakers: int) -> None:
        """The AudioBridge room, a stream, and the room's mix forwarded into it."""
        await super().create_room(room, slots=slots, speakers=speakers)
        port = _FIRST_PORT + 2 * self._ports
        self._ports += 1
        line = {"type": "audio", "mid": "0", "port": port, "pt": _OPUS, "codec": "opus"}
        stream = {"request": "create", "type": "rtp", "id": room, "media": [line]}
        await self._ask_for_room(room, self._streams, stream)
        forward: dict[str, Any] = {
            "request": "rtp_forward",
            "room": room,
            "codec": "opus",
            "ptype": _OPUS,
            "host": "127.0.0.1",
            "port": port,
            "always_on": True,
        }
        await self._ask_for_room(room, self._keeper, forward)

    async def join(self, room: str, participant: str, role: Role, peer: Peer) -> None:
        """A speaker joins the mix; a listener watches the stream, which Janus offers."""
        if role == "speaker":
            await super().join(room, participant, role, peer)
            return

        async def negotiate(handle: int) -> None:
            offered = await self._api.message(handle, {"request": "watch", "id": room})
            answer = {"type": "answer", "sdp": peer.answer(description(offered))}
            await self._api.message(handle, {"request": "start"}, answer)

        await self._enter(_STREAMING, (room, participant), negotiate)
