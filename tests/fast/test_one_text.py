"""No two texts are ever encrypted under one number: it would betray both (RFC 3711 9.1)."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from tests.fast.peer import Talker
from tests.fast.red_stage import text
from tests.fast.test_switching import FORMS, Street

FIRST_SEQUENCE = 32_767
LEAP = 63  # the most that is still a gap
STEPS = 240


class Crossing(Street):
    """A listener hears now this slot, now that, in any form; it may ask for packets again."""

    def __init__(self, rng: random.Random, *, segmented: bool) -> None:
        super().__init__(
            rng,
            segmented=segmented,
            outbox=rng.choice((1, 2, 16)),
            repeats=True,
            transport_cc_extension=5,
            level_extension=6,
            first_sequence=FIRST_SEQUENCE,
        )
        self.late: list[tuple[Talker, bytes]] = []
        self.held_back = 0

    def change(self) -> None:
        """Mostly between the forms of one slot."""
        if self.rng.random() < 0.1:
            self.forwarder.subscribe(self.mover.egress, -1)
        redundancy, packed = self.rng.choice(FORMS)
        slot = self.slots[self.rng.random() < 0.15]
        self.take(slot, redundancy, packed=packed)

    def approach_roll_over(self) -> None:
        """Number after number is lost, until few are left before the first roll-over."""
        talker = self.talkers[0]
        self.take(self.slots[0])
        while self.newest() < 0x10000 - LEAP - STEPS // 4:
            talker.sequence += LEAP
            self.hear((talker, talker.talk(text(0))))
            self.wait(0.02)

    def newest(self) -> int:
        """The newest number of the listener, extended."""
        return self.forwarder.egress_stats(self.mover.egress).last_sequence

    def ask_again(self) -> None:
        """The listener misses some of what it was sent last."""
        asked = [(self.newest() - back) % 0x10000 for back in range(8)]
        self.forwarder.resend(self.mover.egress, self.rng.sample(asked, 5), self.now)
        self.drain()

    def talk(self, talker: Talker, step: int) -> None:
        """The next packet comes, late, or never; and one of the late ones, whenever."""
        data = talker.talk(text(step % 256, self.rng.randint(20, 120)))
        fate = self.rng.random()
        if fate < 0.75:
            self.hear((talker, data))
        elif fate < 0.95:
            self.late.append((talker, data))
        if self.late and self.rng.random() < 0.5:
            self.hear(self.late.pop(0))
        self.held_back += self.forwarder.next_flush() is not None

    def texts(self) -> dict[tuple[bytes, int, int], list[bytes]]:
        """What was sent by address, SSRC and number, extended over roll-overs: header and payload.

        What was sent again cannot be decrypted twice. With the same key and number, equal texts
        are equal datagrams, so one is as good as its text.
        """
        ears = {one.address: one for one in (self.mover, *self.stayers, self.listener, self.ear)}
        newest: dict[tuple[bytes, int], int] = {}
        texts: dict[tuple[bytes, int, int], list[bytes]] = defaultdict(list)
        plain: dict[bytes, bytes] = {}
        for data, to in self.sent:
            ssrc, low = int.from_bytes(data[8:12], "big"), int.from_bytes(data[2:4], "big")
            last = newest.setdefault((to, ssrc), low)
            number = last + (low - last + 0x8000) % 0x10000 - 0x8000
            newest[to, ssrc] = max(last, number)
            if data not in plain and not texts[to, ssrc, number]:
                plain[data] = ears[to]._down.unprotect(data)
            texts[to, ssrc, number].append(plain.get(data, data))
        return texts


def crossed(seed: int, *, segmented: bool) -> Crossing:
    """A crossing after some seconds in which everything happened that changes what leaves."""
    rng = random.Random(seed)
    street = Crossing(rng, segmented=segmented)
    street.approach_roll_over()
    for step in range(STEPS):
        for talker in rng.sample(street.talkers, 2):
            if rng.random() < 0.2:
                street.forwarder.set_stamped(street.mover.transport, rng.random() < 0.5)
            for _ in range(rng.choice((0, 0, 0, 1, 2))):
                street.change()
            street.wait(rng.choice((0.002, 0.006, 0.012)))
            if rng.random() < 0.9:
                street.talk(talker, step)
            if rng.random() < 0.4:
                street.ask_again()
        if rng.random() < 0.02:
            segmented = not segmented and rng.random() < 0.9
            street.forwarder.set_segmented(street.audience, segmented)
    street.wait(0.2)
    return street


@pytest.mark.parametrize("segmented", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_all_that_is_sent_under_one_number_is_the_same_bit_for_bit(
    seed: int, segmented: bool
) -> None:
    """Late packets, ticks, stamps, repetitions and changes of the stream, across a roll-over."""
    street = crossed(seed, segmented=segmented)
    texts = street.texts()
    differ = {at: sent for at, sent in texts.items() if len(set(sent)) > 1}
    assert not differ
    assert street.newest() >= 0x10000
    assert any(len(sent) > 1 for sent in texts.values())
    assert street.forwarder.counters()["stamped"] > 20
    assert street.held_back > 20
