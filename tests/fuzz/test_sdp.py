"""Whatever is offered: a well-formed answer, or an OfferError with a sentence."""

from __future__ import annotations

import random

from sfu.transport.candidates import Endpoint, candidates_for
from sfu.transport.sdp import (
    Negotiation,
    Offer,
    OfferError,
    negotiate,
    parse_offer,
    renegotiate,
)
from tests.fuzz.mutations import MUTATIONS, mutations
from tests.transport.peer import FINGERPRINT, OFFERS, offer_text, seeded

REAL = [offer_text(path.stem) for path in sorted(OFFERS.glob("*.sdp"))]
CANDIDATES = candidates_for([Endpoint("192.0.2.1", 7800)])


def answer(text: str) -> tuple[Offer, Negotiation] | None:
    """The offer and the negotiation, or None for an OfferError."""
    try:
        offer = parse_offer(text)
        return offer, negotiate(
            offer,
            tracks=3,
            candidates=CANDIDATES,
            fingerprint=FINGERPRINT,
            entropy=seeded("fuzz"),
        )
    except OfferError as error:
        assert str(error)
        return None


def check_answer(text: str) -> bool:
    """Whether there was an answer; it has the offer's m-lines and no line of its own making."""
    found = answer(text)
    if found is None:
        return False
    offer, result = found
    lines = result.answer.split("\r\n")
    assert lines.pop() == ""
    assert all(len(line) > 2 and line[1] == "=" and line.isprintable() for line in lines)
    assert sum(line[0] == "m" for line in lines) == len(offer.media)
    ssrcs = [media.ssrc for media in result.media]
    assert len(set(ssrcs)) == len(ssrcs) and 0 not in ssrcs
    assert all(0 <= media.payload_type <= 127 for media in result.media)
    assert result.remote_fingerprints and result.ice.remote_ufrag
    return True


def test_every_truncation_is_an_answer_or_an_offer_error() -> None:
    for text in REAL:
        for size in range(len(text)):
            answer(text[:size])
        assert check_answer(text)


def test_damaged_bytes_are_an_answer_or_an_offer_error() -> None:
    short = [text.encode() for text in REAL]
    answered = sum(
        check_answer(data.decode(errors="replace"))
        for data in mutations(short, seed="sdp", count=MUTATIONS // 4)
    )
    assert answered > 100


def test_lines_left_out_repeated_and_shuffled_are_an_answer_or_an_offer_error() -> None:
    rng = random.Random("sdp lines")
    pool = [line for text in REAL for line in text.splitlines(keepends=True)]
    answered = 0
    for _ in range(MUTATIONS - MUTATIONS // 4):
        lines = rng.choice(REAL).splitlines(keepends=True)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(lines))
            match rng.randrange(4):
                case 0:
                    del lines[at]
                case 1:
                    lines.insert(at, rng.choice(pool))
                case 2:
                    lines[at] = rng.choice(pool)
                case _:
                    other = rng.randrange(len(lines))
                    lines[at], lines[other] = lines[other], lines[at]
        answered += check_answer("".join(lines))
    assert answered > 1_000


def test_a_damaged_restart_is_the_same_session_or_an_offer_error() -> None:
    """Whatever is let through changes nothing but the credentials."""
    restarts = 0
    for text in REAL:
        found = answer(text)
        assert found is not None
        before = found[1]
        renewed = text.replace(before.ice.remote_ufrag, "renewed1")
        for data in mutations([renewed.encode()], seed="restart", count=MUTATIONS // 16):
            try:
                after = renegotiate(
                    parse_offer(data.decode(errors="replace")),
                    before,
                    tracks=3,
                    candidates=CANDIDATES,
                    fingerprint=FINGERPRINT,
                    entropy=seeded("restart"),
                )
            except OfferError as error:
                assert str(error)
                continue
            restarts += 1
            assert after.media == before.media and after.cname == before.cname
            assert after.remote_fingerprints == before.remote_fingerprints
            assert after.ice.local_ufrag != before.ice.local_ufrag
            assert after.answer.count("\nm=") == before.answer.count("\nm=")
    assert restarts > 50
