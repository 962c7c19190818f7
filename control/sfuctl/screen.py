"""What a room looks like: its view as lines of text. No IO, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from control.roomview import RoomView
from control.sfuctl.results import mute_word
from control.sfuctl.tables import aligned, clock, cut, left, padded, printable, span
from control.types import ActiveSpeaker, ParticipantState

# A whisper is about -60 dBov; what is below draws no bar.
QUIETEST_DB = 60
BAR_COLUMNS = 12
# So many of a list, and how many more there are, so that a full hall fits a window.
LISTED_MAX = 12
STAGE_COLUMNS = ("SLOT", "PARTICIPANT", "ROLE", "LEVEL", "MUTED", "")


def draw(view: RoomView, now_ms: int, *, is_connected: bool = True) -> list[str]:
    """Lines of any width; ages count to `now_ms`, unix milliseconds."""
    lines = _heading(view, now_ms, is_connected)
    if view.closed is None:
        lines += ["", *_stage(view), *_hands(view, now_ms), *_invited(view, now_ms)]
        lines += ["", *_audience(view)]
    return [printable(line) for line in lines]


def fitted(lines: list[str], columns: int, rows: int) -> list[str]:
    """Cut to a window: no line wider, and no more of them."""
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"... {len(lines) - rows + 1} more lines"]
    return [cut(line, columns) for line in lines]


def _heading(view: RoomView, now_ms: int, is_connected: bool) -> list[str]:
    room, counts = view.room, view.counts
    link = "live" if is_connected else "connection lost, trying again"
    first = f"{room.room}  {clock(now_ms)}  {link}"
    if view.closed is not None:
        return [first, f"closed ({view.closed})"]
    on_stage = counts.moderator + counts.speaker
    door = "door locked" if room.locked else "door open"
    return [
        first,
        f"{counts.total} of {room.max_participants} people, "
        f"{on_stage} of {room.max_speakers} on stage, {room.slots} slots, "
        f"{door}, hands {room.hand_policy}",
    ]


def _stage(view: RoomView) -> list[str]:
    speakers = view.speakers
    rows = [_on_stage(one, speakers.get(one.participant)) for one in view.on_stage]
    return _listed(f"STAGE {len(rows)}", rows, STAGE_COLUMNS)


def _on_stage(state: ParticipantState, speaker: ActiveSpeaker | None) -> tuple[str, ...]:
    slot = "-" if speaker is None or speaker.slot is None else str(speaker.slot)
    muted = {"no": "", "yes": "muted", "locked": "locked"}[mute_word(state)]
    return (slot, _label(state), state.role.value, _bar(speaker), muted, _trouble(state))


def _bar(speaker: ActiveSpeaker | None) -> str:
    if speaker is None:
        return " " * BAR_COLUMNS
    loud = max(0, QUIETEST_DB - speaker.level)
    filled = min(BAR_COLUMNS, -(-loud * BAR_COLUMNS // QUIETEST_DB))
    return padded("#" * filled, BAR_COLUMNS)


def _trouble(state: ParticipantState) -> str:
    return "" if state.state.value == "connected" else state.state.value


def _label(state: ParticipantState) -> str:
    return state.participant if state.name is None else f"{state.participant} ({state.name})"


def _hands(view: RoomView, now_ms: int) -> list[str]:
    rows = [
        (str(place), hand.participant, span(now_ms - hand.raised_at))
        for place, hand in enumerate(view.hands.values(), 1)
    ]
    return ["", *_listed(f"HANDS {len(rows)}", rows)] if rows else []


def _invited(view: RoomView, now_ms: int) -> list[str]:
    rows = [
        (_label(one), f"{left((one.invited_until or now_ms) - now_ms)} left")
        for one in view.invited
    ]
    return ["", *_listed(f"INVITED {len(rows)}", rows)] if rows else []


def _audience(view: RoomView) -> list[str]:
    audience = view.audience
    lines = [f"AUDIENCE {len(audience)}"]
    if audience:
        lines.append("  " + _tally(one.state.value for one in audience))
    everybody = list(view.participants.values())
    if everybody:
        tiers = Counter(one.tier for one in everybody).most_common()
        lines.append("  tiers: " + ", ".join(f"{tier} {count}" for tier, count in tiers))
    return lines


def _tally(words: Iterable[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


def _listed(
    heading: str, rows: Sequence[tuple[str, ...]], columns: tuple[str, ...] = ()
) -> list[str]:
    if not rows:
        return [heading]
    shown = aligned([*([columns] if columns else []), *islice(rows, LISTED_MAX)]).split("\n")
    more = [] if len(rows) <= LISTED_MAX else [f"... {len(rows) - LISTED_MAX} more"]
    return [heading, *(f"  {line}" for line in [*shown, *more])]
