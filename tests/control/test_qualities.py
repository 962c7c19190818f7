"""What `sfuctl` shows of a subscription, and how what was set is taken back."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from control.commands import (
    AnyCommand,
    SubscriptionGet,
    SubscriptionResult,
    SubscriptionUpdate,
    TrackSetPriority,
)
from control.sfuctl.arguments import command_of, parser
from control.sfuctl.results import as_text
from control.types import TierChange
from tests.control.samples import AT_MS, SUBSCRIPTION


def fields(text: str) -> dict[str, str]:
    """Names and values of a list of fields, which stand two or more spaces apart."""
    rows = (re.split(r" {2,}", line, maxsplit=1) for line in text.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2}


def test_a_subscription_shows_what_is_heard_and_how_it_came_to_that() -> None:
    """In words, the newest first."""
    text = as_text(SubscriptionGet(room="lobby", participant="red"), SUBSCRIPTION, AT_MS + 90_000)
    shown = fields(text.partition("\n\n")[0])
    assert shown["tier"] == "B2: the mix, 24 kbit/s in packets of 40 ms"
    assert (shown["line"], shown["at most"]) == ("carries some 52 kbit/s", "64 kbit/s")
    history = text.partition("\n\n")[2].splitlines()
    assert history[0].split() == ["SINCE", "FOR", "TIER", "WHY"]
    assert [line.split(None, 3)[1:] for line in history[1:]] == [
        ["1m", "35s", "B2    packets queued up on its line"],
        ["55s", "A1", "it joined"],
    ]


def test_a_tier_and_a_cause_of_a_newer_daemon_are_shown_as_they_are() -> None:
    newer = [TierChange(at=AT_MS, tier="Z9", cause="moonlight")]
    state = structs.replace(SUBSCRIPTION.subscription, tier="Z9", history=newer)
    text = as_text(
        SubscriptionGet(room="lobby", participant="red"), SubscriptionResult(subscription=state), 0
    )
    assert fields(text)["tier"] == "Z9"
    assert text.endswith("moonlight")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (
            ("subscription", "update", "lobby", "ann", "--max-kbps", "none"),
            SubscriptionUpdate(room="lobby", participant="ann", max_kbps=None),
        ),
        (
            ("subscription", "update", "lobby", "ann", "--max-kbps", "64"),
            SubscriptionUpdate(room="lobby", participant="ann", max_kbps=64),
        ),
        (
            ("track", "set-priority", "lobby", "ann", "none"),
            TrackSetPriority(room="lobby", participant="ann", priority_db=None),
        ),
    ],
)
def test_what_was_set_can_be_taken_back(words: tuple[str, ...], command: AnyCommand) -> None:
    assert command_of(parser({}).parse_args(words)) == command


@pytest.mark.parametrize(
    ("protection", "shown"),
    [(0, None), (1, "1 earlier packet with each"), (2, "2 earlier packets with each")],
)
def test_a_subscription_shows_how_it_is_protected(protection: int, shown: str | None) -> None:
    state = structs.replace(SUBSCRIPTION.subscription, protection=protection)
    text = as_text(
        SubscriptionGet(room="lobby", participant="red"), SubscriptionResult(subscription=state), 0
    )
    assert fields(text).get("protection") == shown
    assert fields(text)["loss"] == "1.5%"
