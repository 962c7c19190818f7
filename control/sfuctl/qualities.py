"""What a participant is sent, in words. No IO, no clock."""

from __future__ import annotations

from typing import Final

from control.sfuctl.tables import clock, count, fields, names, span, table
from control.types import SubscriptionState, TierChange

HISTORY_COLUMNS = ("SINCE", "FOR", "TIER", "WHY")

_TIERS: Final = {
    "A0": "each voice as it comes, with copies against loss",
    "A1": "each voice as it comes",
    "A2": "each voice, in packets of 60 ms",
    "B1": "the mix, 32 kbit/s",
    "B2": "the mix, 24 kbit/s in packets of 40 ms",
    "B3": "the mix, 16 kbit/s in packets of 60 ms",
    "B4": "the mix, 10 kbit/s in packets of 60 ms",
    "B5": "the mix, 8 kbit/s in packets of 120 ms",
    "C": "nothing, for its line carries no sound",
    "paused": "nothing, for it paused",
}
_CAUSES: Final = {
    "join": "it joined",
    "requested": "that was asked for",
    "slots": "other slots or talkers in the room",
    "loss": "its line lost packets",
    "delay": "packets queued up on its line",
    "estimate": "its line carries no more",
    "silence": "nothing came back from it",
    "recovered": "its line has recovered",
    "unavailable": "there was no such mix for it",
}


def subscription(state: SubscriptionState, now_ms: int) -> str:
    """What somebody hears, what was asked for, how its line is, and how it came to that."""
    loss, rtt, rate = state.loss_ratio, state.rtt_ms, state.estimate_kbps
    red = state.protection
    about = fields(
        {
            "participant": state.participant,
            "hears": _hears(state),
            "tier": _tier(state),
            "mode": state.mode,
            "always": names(state.always),
            "never": names(state.never),
            "at most": None if state.max_kbps is None else f"{state.max_kbps} kbit/s",
            "line": None if rate is None else f"carries some {rate} kbit/s",
            "loss": None if loss is None else f"{loss:.1%}",
            "protection": None if not red else f"{count(red, 'earlier packet')} with each",
            "round trip": None if rtt is None else f"{rtt:.0f} ms",
        }
    )
    if not state.history:
        return about
    return f"{about}\n\n{_history(state.history, now_ms)}"


def cause(name: str) -> str:
    """Why a tier changed; a cause of a newer daemon by its name."""
    return _CAUSES.get(name, name)


def _hears(state: SubscriptionState) -> str:
    if state.paused:
        return "nothing: paused"
    asked = state.slots_max
    most = "" if asked is None or asked == state.slots else f", {asked} asked for"
    return f"{count(state.slots, 'voice')} at once{most}"


def _tier(state: SubscriptionState) -> str:
    content = _TIERS.get(state.tier)
    return state.tier if content is None else f"{state.tier}: {content}"


def _history(history: list[TierChange], now_ms: int) -> str:
    """The newest first, as one reads back in time."""
    ends = [*(change.at for change in history[1:]), now_ms]
    rows = [
        (clock(change.at), span(end - change.at), change.tier, cause(change.cause))
        for change, end in zip(history, ends, strict=True)
    ]
    return table(HISTORY_COLUMNS, reversed(rows))
