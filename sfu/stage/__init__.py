"""The stage: rooms, participants, roles, hands, slots, and who is speaking. Pure.

`Room` is what a worker calls; the other modules are its parts, each with one question to answer:

    settings     what may a backend set about a room?
    sync         what makes a room agree with a list?
    roster       who is in the room, and who may come in?
    participant  what is known of one of them?
    moderation   who may be heard, and who asks to be?
    hands        who wants to be called up, in which order?
    invitations  who is called up, and until when may it answer?
    selector     who holds the slots?                      (numbers in, numbers out)
    floor        the selector's decisions, written into the forwarder
    voices       who has a voice, for slots, mixes and snapshots alike?
    subscriptions  what does each listener get, and why?
    wishes       what did a listener ask for?
    tiers        what may it get, and what does that mean for its m-lines?
    quality      what was it sent when, and why?
    seating      which slot does each listener's m-line carry?
    ranking      which slots are heard with fewer m-lines than slots?  (numbers in, numbers out)
    carriage     what is that in the forwarder?
    echoes       whose voices are in the mixes?
    tails        what follows a voice that is cut off?
    hush         and an m-line that falls silent for one listener?
    dominant     whom would a viewer call the speaker?     (never used for forwarding)
    speakers     what is everybody told about who is active?
    watch        when are the last two asked?
    lifetime     when does a room end by itself?
    journal      what has happened, in order?
    refusals     how does a room say no?

Nothing here reads a clock, draws entropy or touches a socket: `now` (monotonic seconds) is an
argument, and the only thing acted upon is the forwarder's tables. Nothing here knows transports.
What a room makes itself, silence after a voice that was cut off, its worker pushes.

A join
    admission = room.admit(command, now)  # may refuse; gives number, echo group, generation
    ... the worker negotiates and adds the forwarder's rows ...
    if admission.replaces: the worker removes that participant (reason `replaced`) as any other
    room.add(admission, source=source, egresses=egresses, now=now)

A move to another room
    admission = other.admit_moved(participant, room, role, now)  # may refuse
    gone = room.remove(participant, LeaveReason.MOVED, now)
    ... the worker gives the forwarder's rows the numbers of `admission` ...
    other.add(admission, source=gone.source, egresses=gone.egresses,
              red_egresses=gone.red_egresses, quality=gone.quality, now=now)

Lifetimes: who closes whom
    The worker owns rooms and transports. A room owns its participants, its hands and its slots.
    Sources and egresses are rows of the forwarder that the worker adds before `Room.add` and that
    go with the transport; a room only decides their audibility, slot and subscriptions.
    - `Room.remove` ends what the participant had in the room at once (slot, subscriptions, hand,
      invitation, place) and returns it; the worker then closes its transport. Never the other way
      round: a transport that died is a fact, which the worker turns into `Room.remove` with its
      reason.
    - `Room.close` removes everybody, gives the slots back and returns whom it removed. It is
      immediate and idempotent. `Room.tick` may close it in the same way (empty or orphaned for
      too long): look at `is_closed` after it, and at whom it returns.
    - The forwarder must outlive the room; a closed room never touches it again.
"""

from .carriage import Seat
from .journal import RoomEvent
from .lifetime import REASON_EMPTY, REASON_ORPHANED
from .participant import NO_SOURCE, Participant
from .quality import Quality
from .room import REASON_CLOSED, Room
from .roster import Admission
from .settings import PARTICIPANTS_MAX, RoomSettings
from .tails import SILENCE
from .tiers import MixStreams

__all__ = [
    "NO_SOURCE",
    "PARTICIPANTS_MAX",
    "REASON_CLOSED",
    "REASON_EMPTY",
    "REASON_ORPHANED",
    "SILENCE",
    "Admission",
    "MixStreams",
    "Participant",
    "Quality",
    "Room",
    "RoomEvent",
    "RoomSettings",
    "Seat",
]
