"""How often a number gets a code, and what an answer to one is worth: no store, no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deploy.club.door.pace import (
    AGAIN_AFTER,
    CODE_LIFE,
    SENT_MAX,
    TRIES_MAX,
    WINDOW,
    Answer,
    Sent,
    answered,
    next_sent,
)
from deploy.club.refusal import Refused

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


def test_the_first_code_of_a_number_is_sent_at_once() -> None:
    assert next_sent(None, NOW) == Sent(at=NOW, count=1, window_began_at=NOW)


def test_a_second_code_waits_and_the_refusal_says_how_long() -> None:
    first = next_sent(None, NOW)
    with pytest.raises(Refused) as caught:
        next_sent(first, NOW + AGAIN_AFTER - timedelta(seconds=7))
    assert (caught.value.code, caught.value.status) == ("too_many", 429)
    assert caught.value.params["retry_after_s"] == 7
    assert next_sent(first, NOW + AGAIN_AFTER).count == 2


def test_a_number_gets_no_more_codes_than_its_window_holds() -> None:
    sent = next_sent(None, NOW)
    for _ in range(SENT_MAX - 1):
        sent = next_sent(sent, sent.at + AGAIN_AFTER)
    assert sent.count == SENT_MAX
    with pytest.raises(Refused) as caught:
        next_sent(sent, sent.at + AGAIN_AFTER)
    left = WINDOW - AGAIN_AFTER * SENT_MAX
    assert caught.value.params["retry_after_s"] == left.total_seconds()


def test_a_new_window_begins_when_the_old_one_is_over() -> None:
    full = Sent(at=NOW + timedelta(hours=1), count=SENT_MAX, window_began_at=NOW)
    later = NOW + WINDOW
    assert next_sent(full, later) == Sent(at=later, count=1, window_began_at=later)


def test_a_clock_that_went_back_keeps_nobody_waiting_longer_than_a_pause() -> None:
    ahead = Sent(at=NOW + timedelta(days=3), count=1, window_began_at=NOW + timedelta(days=3))
    with pytest.raises(Refused) as caught:
        next_sent(ahead, NOW)
    assert caught.value.params["retry_after_s"] <= AGAIN_AFTER.total_seconds()


@pytest.mark.parametrize(
    ("tries", "age", "is_equal", "answer"),
    [
        (0, timedelta(0), True, Answer.RIGHT),
        (TRIES_MAX - 1, timedelta(0), True, Answer.RIGHT),
        (0, CODE_LIFE - timedelta(seconds=1), True, Answer.RIGHT),
        (0, timedelta(0), False, Answer.WRONG),
        (TRIES_MAX - 2, timedelta(0), False, Answer.WRONG),
        (TRIES_MAX - 1, timedelta(0), False, Answer.VOID),
        (TRIES_MAX, timedelta(0), True, Answer.VOID),
        (0, CODE_LIFE, True, Answer.VOID),
        (0, CODE_LIFE, False, Answer.VOID),
    ],
)
def test_an_answer_is_worth(tries: int, age: timedelta, is_equal: bool, answer: Answer) -> None:
    assert answered(tries, NOW + CODE_LIFE, NOW + age, is_equal=is_equal) is answer
