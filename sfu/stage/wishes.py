"""What one listener asked for, beyond what everybody gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from .refusals import failed_precondition

if TYPE_CHECKING:
    from control.commands import SubscriptionUpdate
    from control.types import SubscriptionMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The choices of a listener; those of most are `NO_WISHES`.

    `always` and `never` are participant ids, of whoever may come; `never` wins where both name one.
    `max_kbps` bounds what is sent, headers included; None for no bound.
    """

    slots_max: int | None = None
    always: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    mode: SubscriptionMode = "auto"
    max_kbps: int | None = None
    paused: bool = False

    def changed_by(self, command: SubscriptionUpdate) -> Wishes:
        """With the fields that the command gives; the others stay.

        Raises ControlError `failed_precondition` for a mix without somebody: a mix has everybody.
        """
        given: dict[str, Any] = {
            "slots_max": command.slots,
            "always": _distinct(command.always),
            "never": _distinct(command.never),
            "mode": command.mode,
            "paused": command.paused,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        if command.max_kbps is not UNSET:
            changes["max_kbps"] = command.max_kbps
        changed = replace(self, **changes)
        if changed.mode == "mix" and changed.never:
            raise failed_precondition("a mix cannot leave anybody out", field="never")
        return changed


NO_WISHES = Wishes()


def _distinct(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(dict.fromkeys(names))
