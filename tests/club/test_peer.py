"""What the peer offers, read by another implementation."""

from __future__ import annotations

from aiortc.sdp import SessionDescription

from deploy.club.peer import Peer, PeerOptions


async def test_the_mix_has_an_m_line_of_its_own_behind_those_of_the_slots() -> None:
    peer = Peer(PeerOptions(slots=3, mix=True))
    media = SessionDescription.parse(peer.offer).media
    assert [line.rtp.muxId for line in media] == ["0", "1", "2", "3"]
    assert [line.direction for line in media] == ["sendrecv", *["recvonly"] * 3]
    assert "a=group:BUNDLE 0 1 2 3\r\n" in peer.offer


async def test_without_it_there_are_as_many_as_slots() -> None:
    assert len(SessionDescription.parse(Peer(PeerOptions(slots=2)).offer).media) == 2
