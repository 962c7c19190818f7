"""Janus as a target: its VideoRoom plugin, audio only, with the settings that make it fastest.

A speaker is a publisher: the client offers. A listener is one subscriber of every speaker that is
in the room when it joins: Janus offers an m-line for each, with an SSRC of its own, and the client
answers. A speaker hears nobody, since in Janus that would be a second connection.

Janus keeps a speaker's payload type, and offers the extension ids that it uses; both are in its
descriptions. It sends no CSRC: who speaks is told by the m-line. It has no slots: every speaker is
forwarded, whoever is silent too.
"""

from __future__ import annotations

from typing import Any, Final

from bench.targets import JoinRefused, Lines, Peer, Place, Role
from bench.targets.janus_config import Settings
from bench.targets.janus_server import JanusServer, as_dtls_client, description

_PLUGIN: Final = "videoroom"
# What a listener waits for the speakers before it to be connected.
_SPEAKERS_WITHIN_S: Final = 20.0


class Janus(JanusServer):
    """Rooms that forward every speaker to every listener."""

    name = "janus"
    plugins = (_PLUGIN,)
    hears_later_speakers = False

    def __init__(self, place: Place, *, settings: Settings | None = None) -> None:
        super().__init__(place, settings=settings)
        self._keeper = 0  # the handle that makes rooms
        self._speakers: dict[str, list[str]] = {}  # by room, as they joined

    async def stop(self) -> None:
        """Hang up, end it, remove its files."""
        await super().stop()
        self._speakers.clear()

    async def _prepare(self) -> None:
        self._keeper = await self._api.attach(_PLUGIN)

    async def create_room(self, room: str, *, slots: int, speakers: int) -> None:
        """A room for so many publishers; `slots` has no meaning here."""
        body = {
            "request": "create",
            "room": room,
            "publishers": speakers,
            "audiocodec": "opus",
            "audiolevel_ext": True,
            "audiolevel_event": False,
            "transport_wide_cc_ext": False,
            "record": False,
            "notify_joining": False,
        }
        await self._ask_for_room(room, self._keeper, body)
        self._speakers[room] = []

    async def join(self, room: str, participant: str, role: Role, peer: Peer) -> None:
        """The client offers as a speaker, and answers as a listener."""

        async def negotiate(handle: int) -> None:
            if role == "speaker":
                await self._publish(room, participant, handle, peer)
            else:
                await self._subscribe(room, handle, peer)

        await self._enter(_PLUGIN, (room, participant), negotiate)
        if role == "speaker":
            self._speakers[room].append(participant)

    async def leave(self, room: str, participant: str) -> None:
        """Detach its handle; whoever is gone already is no error."""
        if participant in self._speakers[room]:
            self._speakers[room].remove(participant)
        await super().leave(room, participant)

    async def _publish(self, room: str, participant: str, handle: int, peer: Peer) -> None:
        offer = as_dtls_client(peer.offer(Lines(sends=True, receives=0)))
        body = {"request": "joinandconfigure", "ptype": "publisher", "room": room}
        body["id"] = participant
        joined = await self._api.message(handle, body, {"type": "offer", "sdp": offer})
        peer.accept(description(joined))

    async def _subscribe(self, room: str, handle: int, peer: Peer) -> None:
        speakers = list(self._speakers[room])
        if not speakers:
            raise JoinRefused("janus: a listener needs speakers in the room before it")
        for speaker in speakers:
            # Janus knows a speaker's stream from the end of its DTLS handshake on.
            its = self._handles[room, speaker]
            if not await self._api.wait_connected(its, within_s=_SPEAKERS_WITHIN_S):
                raise JoinRefused(f"janus: the speaker {speaker} is not connected")
        body: dict[str, Any] = {"request": "join", "ptype": "subscriber", "room": room}
        body["streams"] = [{"feed": speaker} for speaker in speakers]
        # Without it a speaker who leaves would start a negotiation with every listener.
        body["autoupdate"] = False
        offered = await self._api.message(handle, body)
        answer = peer.answer(description(offered))
        await self._api.message(handle, {"request": "start"}, {"type": "answer", "sdp": answer})
