"""What was negotiated reaches the forwarder's rows and the keys, and what was joined as is kept."""

from __future__ import annotations

from typing import Any

import pytest

from control.commands import (
    ParticipantGet,
    ParticipantJoin,
    ParticipantMove,
    ParticipantRestartIce,
    RoomCreate,
)
from control.envelope import parse_command
from control.errors import ControlError
from control.events import ParticipantJoined
from control.types import Role
from sfu.fast import Forwarder
from sfu.stage import Admission
from sfu.transport.answer import negotiate
from sfu.transport.offer import parse_offer
from sfu.worker.rows import add_egresses, add_source
from tests.transport.peer import FINGERPRINT, offer_text, seeded
from tests.worker.harness import CANDIDATE, Bench, offer

CHROMIUM = offer_text("chromium_4_audio")
NACKS = CHROMIUM.replace("transport-cc\r\n", "transport-cc\r\na=rtcp-fb:111 nack\r\n")
ADMISSION = Admission(
    participant="red",
    number=7,
    generation=1,
    echo_group=3,
    echo_group_name=None,
    role=Role.SPEAKER,
    replaces=False,
)


class Rows(Forwarder):
    """A forwarder that tells what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def add_source(self, transport: int, **fields: Any) -> int:
        self.asked.append(fields)
        return super().add_source(transport, **fields)

    def add_egress(self, transport: int, **fields: Any) -> int:
        self.asked.append(fields)
        return super().add_egress(transport, **fields)


def rows(text: str) -> list[dict[str, Any]]:
    """What the forwarder is asked for: the source, then the egresses."""
    negotiation = negotiate(
        parse_offer(text),
        tracks=3,
        candidates=[CANDIDATE],
        fingerprint=FINGERPRINT,
        entropy=seeded("rows"),
    )
    forwarder = Rows()
    transport = forwarder.add_transport()
    add_source(forwarder, transport, ADMISSION, negotiation)
    add_egresses(forwarder, transport, ADMISSION, negotiation, seeded("numbers"))
    return forwarder.asked


def test_each_row_may_carry_what_its_m_line_negotiated() -> None:
    source, *egresses = rows(CHROMIUM)
    assert source["red_payload_type"] == 63
    assert [(row["red_payload_type"], row["repeats"]) for row in egresses] == [(63, False)] * 3
    source, *egresses = rows(NACKS)
    assert [(row["red_payload_type"], row["repeats"]) for row in egresses] == [(63, True)] * 3


def test_a_client_without_red_and_nack_has_plain_rows() -> None:
    source, *egresses = rows(offer_text("firefox_4_audio"))
    assert source["red_payload_type"] == 0
    assert [(row["red_payload_type"], row["repeats"]) for row in egresses] == [(0, False)] * 3


def opus_line(answer: str) -> str:
    """What an answer says of Opus, the first time."""
    return answer.partition("a=fmtp:")[2].partition("\r\n")[0]


def state(bench: Bench, room: str = "r") -> Any:
    """The participant `p`."""
    return bench.run(ParticipantGet(room=room, participant="p")).participant


def test_a_musician_is_asked_for_music_and_everybody_sees_it() -> None:
    bench = Bench()
    bench.room()
    joined = bench.join("p", Role.SPEAKER, profile="music")
    assert ";stereo=1" in opus_line(joined.answer)
    assert joined.participant.profile == state(bench).profile == "music"
    told = [body for _, body in bench.told if isinstance(body, ParticipantJoined)]
    assert [body.state.profile for body in told] == ["music"]


def test_without_a_profile_it_is_voice() -> None:
    bench = Bench()
    bench.room()
    joined = bench.join("p", Role.SPEAKER)
    assert ";stereo=1" not in opus_line(joined.answer) and "usedtx=1" in opus_line(joined.answer)
    assert joined.participant.profile == "voice"


def test_the_profile_goes_along_to_another_room_and_through_a_restart() -> None:
    bench = Bench()
    bench.room()
    bench.run(RoomCreate(room="other"))
    line = opus_line(bench.join("p", Role.SPEAKER, profile="music").answer)
    moved = bench.run(ParticipantMove(room="r", participant="p", to_room="other"))
    assert moved.participant.profile == state(bench, "other").profile == "music"
    again = ParticipantRestartIce(room="other", participant="p", offer=offer(ufrag="efgh"))
    assert opus_line(bench.run(again).answer) == line
    assert state(bench, "other").profile == "music"


def test_whoever_joins_again_says_anew_what_it_is() -> None:
    bench = Bench()
    bench.room()
    bench.join("p", Role.SPEAKER, profile="music")
    again = bench.join("p", Role.SPEAKER)
    assert again.participant.profile == "voice" and ";stereo=1" not in opus_line(again.answer)


def test_no_other_profile_is_known() -> None:
    fields = {"room": "r", "participant": "p", "role": "speaker", "offer": "v=0"}
    with pytest.raises(ControlError) as refused:
        parse_command(ParticipantJoin, fields | {"profile": "opera"})
    assert refused.value.detail == {"field": "profile"}
