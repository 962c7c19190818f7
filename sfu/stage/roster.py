"""Who is in a room: admission, numbers, generations, bans and echo groups.

The roster decides who may come in and remembers what must outlive a participant: numbers are never
given twice while the room lives, generations only grow for an id, bans run their time. It knows
nothing of sound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from control.errors import exhausted, not_found
from control.types import Counts, Metadata, ParticipantStatus, Profile, Role

from .participant import Participant
from .refusals import already_exists, banned, failed_precondition
from .settings import check_metadata

if TYPE_CHECKING:
    from control.commands import ParticipantJoin

    from .settings import RoomSettings

# A CSRC is 32 bits and 0 is "nobody" in the forwarder.
NUMBER_MAX = 0xFFFF_FFFF
# Departed ids whose generation is kept one by one; older ones share one floor, so that a
# generation still only grows.
DEPARTED_MAX = 10_000
# More bans than this at one time and the ones that would end first are forgotten.
BANS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A place that a newcomer may take: what the forwarder's rows need, and what was asked for."""

    participant: str
    number: int
    generation: int
    echo_group: int
    echo_group_name: str | None
    role: Role
    replaces: bool
    muted: bool = False
    mute_locked: bool = False
    name: str | None = None
    metadata: Metadata = field(default_factory=dict)
    status: ParticipantStatus = ParticipantStatus.NEW
    profile: Profile = "voice"


class _Generations:
    """The last generation of each id, bounded. `highest` of all who have left."""

    def __init__(self, floor: int) -> None:
        self._departed: dict[str, int] = {}
        self._floor = self.highest = floor

    def next(self, participant: str) -> int:
        return self._departed.get(participant, self._floor) + 1

    def depart(self, participant: str, generation: int) -> None:
        self._departed.pop(participant, None)
        self._departed[participant] = generation
        self.highest = max(self.highest, generation)
        if len(self._departed) > DEPARTED_MAX:
            oldest = next(iter(self._departed))
            self._floor = max(self._floor, self._departed.pop(oldest))


class _Bans:
    """Until when an id may not come back, bounded."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, participant: str, until: float, now: float) -> None:
        if len(self._until) >= BANS_MAX and participant not in self._until:
            self._until = {name: end for name, end in self._until.items() if end > now}
            if len(self._until) >= BANS_MAX:
                del self._until[min(self._until, key=self._until.__getitem__)]
        self._until[participant] = max(until, self._until.get(participant, until))

    def remaining_s(self, participant: str, now: float) -> float:
        until = self._until.get(participant)
        if until is None:
            return 0.0
        if until <= now:
            del self._until[participant]
            return 0.0
        return until - now


class _EchoGroups:
    """Numbers for echo groups: participants of one name share one, the others have their own."""

    def __init__(self) -> None:
        self._numbers: dict[str, tuple[int, int]] = {}
        self._next = 1

    def number_of(self, name: str | None) -> int:
        if name is not None and name in self._numbers:
            return self._numbers[name][0]
        self._next += 1
        return self._next - 1

    def join(self, name: str | None, number: int) -> None:
        if name is not None:
            _, members = self._numbers.get(name, (number, 0))
            self._numbers[name] = (number, members + 1)

    def leave(self, name: str | None) -> None:
        if name is None:
            return
        number, members = self._numbers.pop(name)
        if members > 1:
            self._numbers[name] = (number, members - 1)


class Roster:
    """The participants of one room by id, in the order they joined.

    Their generations are above `generation_floor`.
    """

    def __init__(self, generation_floor: int = 0) -> None:
        self.participants: dict[str, Participant] = {}
        self._counts = dict.fromkeys(Role, 0)
        self._last_number = 0
        self._generations = _Generations(generation_floor)
        self._bans = _Bans()
        self._echo_groups = _EchoGroups()
        self._echo_group_names: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.participants)

    def get(self, participant: str) -> Participant:
        """Raises ControlError `not_found` when nobody of this id is here."""
        try:
            return self.participants[participant]
        except KeyError:
            raise not_found("participant", participant) from None

    def counts(self) -> Counts:
        """How many hold each role."""
        return Counts(
            moderator=self._counts[Role.MODERATOR],
            speaker=self._counts[Role.SPEAKER],
            listener=self._counts[Role.LISTENER],
        )

    @property
    def highest_generation(self) -> int:
        """Of all who have left."""
        return self._generations.highest

    @property
    def on_stage(self) -> int:
        """How many count against `max_speakers`."""
        return self._counts[Role.MODERATOR] + self._counts[Role.SPEAKER]

    def admit(self, command: ParticipantJoin, settings: RoomSettings, now: float) -> Admission:
        """A place for the newcomer. Nobody is in the room by it yet; an unused one costs a number.

        Raises ControlError: `permission_denied` (banned), `already_exists`, `failed_precondition`
        (locked), `resource_exhausted`, `invalid_argument` (metadata).
        """
        present = self.participants.get(command.participant)
        rejects = command.on_duplicate == "reject"
        self._check_identity(command.participant, now, rejects_duplicate=rejects)
        self._check_room(command.role, present, settings)
        if command.metadata is not None:
            check_metadata(command.metadata)
        # Otherwise whoever was silenced would only have to come in again.
        mute_locked = present is not None and present.mute_locked
        return Admission(
            participant=command.participant,
            number=self._next_number(),
            generation=(
                self._generations.next(command.participant)
                if present is None
                else present.generation + 1
            ),
            echo_group=self._echo_groups.number_of(command.echo_group),
            echo_group_name=command.echo_group,
            role=command.role,
            replaces=present is not None,
            muted=command.muted or mute_locked,
            mute_locked=mute_locked,
            name=command.name or None,
            metadata=command.metadata or {},
            profile=command.profile,
        )

    def admit_moved(
        self,
        mover: Participant,
        role: Role,
        settings: RoomSettings,
        now: float,
        *,
        echo_group: str | None,
    ) -> Admission:
        """A place for somebody of another room, on the terms of a newcomer.

        Whatever belongs to the person and not to its place in the old room goes along, the name of
        its echo group too. Raises ControlError as `admit`; `already_exists` for an id that is here.
        """
        self._check_identity(mover.id, now, rejects_duplicate=True)
        self._check_room(role, None, settings)
        return Admission(
            participant=mover.id,
            number=self._next_number(),
            generation=self._generations.next(mover.id),
            echo_group=self._echo_groups.number_of(echo_group),
            echo_group_name=echo_group,
            role=role,
            replaces=False,
            muted=mover.muted,
            mute_locked=mover.mute_locked,
            name=mover.name,
            metadata=mover.metadata,
            status=mover.status,
            profile=mover.profile,
        )

    def echo_group_of(self, participant: str) -> str | None:
        """The name of its echo group, None when it has one of its own."""
        return self._echo_group_names.get(participant)

    def sharing(self, participant: Participant) -> list[Participant]:
        """Those of its echo group, itself included as long as it is here."""
        is_here = self.participants.get(participant.id) is participant
        named = (self.participants[name] for name in self._echo_group_names)
        others = [one for one in named if one.echo_group == participant.echo_group]
        return others or ([participant] if is_here else [])

    def add(self, admission: Admission, *, joined_at_ms: int) -> Participant:
        """Take the place."""
        assert admission.participant not in self.participants, "remove the replaced one first"
        participant = Participant(
            id=admission.participant,
            number=admission.number,
            generation=admission.generation,
            echo_group=admission.echo_group,
            role=admission.role,
            joined_at_ms=joined_at_ms,
            name=admission.name,
            metadata=admission.metadata,
            muted=admission.muted,
            mute_locked=admission.mute_locked,
            status=admission.status,
            profile=admission.profile,
        )
        self._echo_groups.join(admission.echo_group_name, admission.echo_group)
        if admission.echo_group_name is not None:
            self._echo_group_names[participant.id] = admission.echo_group_name
        self.participants[participant.id] = participant
        self._counts[participant.role] += 1
        return participant

    def remove(self, participant: Participant) -> None:
        """Give the place back; number and generation are not used again."""
        del self.participants[participant.id]
        self._counts[participant.role] -= 1
        self._generations.depart(participant.id, participant.generation)
        self._echo_groups.leave(self._echo_group_names.pop(participant.id, None))

    def set_role(self, participant: Participant, role: Role, settings: RoomSettings) -> None:
        """Raises ControlError `resource_exhausted` when the stage is full."""
        if role.is_on_stage and not participant.role.is_on_stage:
            self.check_stage(settings)
        self._counts[participant.role] -= 1
        participant.role = role
        self._counts[role] += 1

    def ban(self, participant: str, until: float, now: float) -> None:
        """`participant` may not come back before `until`; an earlier, longer ban stays."""
        self._bans.add(participant, until, now)

    def _next_number(self) -> int:
        """Raises ControlError `resource_exhausted` when there is none left."""
        if self._last_number >= NUMBER_MAX:
            message = "this room has used up its participant numbers"
            raise exhausted("participant_numbers", message, retry_after_ms=None)
        self._last_number += 1
        return self._last_number

    def _check_identity(self, participant: str, now: float, *, rejects_duplicate: bool) -> None:
        remaining_s = self._bans.remaining_s(participant, now)
        if remaining_s > 0:
            raise banned(participant, remaining_s)
        if rejects_duplicate and participant in self.participants:
            raise already_exists("participant", participant)

    def _check_room(self, role: Role, present: Participant | None, settings: RoomSettings) -> None:
        """Whoever is replaced leaves its place free: it is nobody new."""
        if present is None:
            if settings.locked:
                raise failed_precondition("the room is locked")
            if len(self) >= settings.max_participants:
                raise exhausted("max_participants", f"{settings.max_participants} are in the room")
        if role.is_on_stage:
            freed = 1 if present is not None and present.role.is_on_stage else 0
            self.check_stage(settings, freed=freed)

    def check_stage(self, settings: RoomSettings, *, freed: int = 0) -> None:
        """Raises ControlError `resource_exhausted` unless one more may be on stage.

        `freed` places are given back by then.
        """
        if self.on_stage - freed >= settings.max_speakers:
            raise exhausted("max_speakers", f"{settings.max_speakers} are on stage")
