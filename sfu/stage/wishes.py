"""What one listener asked for, beyond what everybody gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from control.errors import ControlError, ErrorCode

if TYPE_CHECKING:
    from control.commands import SubscriptionUpdate
    from control.types import SubscriptionMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The choices of a listener; those of most are `NO_WISHES`.

    `always` and `never` are participant ids, of whoever may come; `never` wins where both name one.
    """

    slots_max: int | None = None
    always: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    mode: SubscriptionMode = "auto"
    paused: bool = False

    def changed_by(self, command: SubscriptionUpdate) -> Wishes:
        """With the fields that the command gives; the others stay.

        Raises ControlError `unimplemented`, with the field, for what needs another kind of stream.
        """
        if command.mode == "mix":
            raise _unimplemented("mode", "this server makes no mix")
        if command.max_kbps is not None:
            raise _unimplemented("max_kbps", "this server sends streams as they come")
        given: dict[str, Any] = {
            "slots_max": command.slots,
            "always": _distinct(command.always),
            "never": _distinct(command.never),
            "mode": command.mode,
            "paused": command.paused,
        }
        return replace(self, **{name: value for name, value in given.items() if value is not None})


NO_WISHES = Wishes()


def _distinct(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(dict.fromkeys(names))


def _unimplemented(field: str, message: str) -> ControlError:
    return ControlError(ErrorCode.UNIMPLEMENTED, message, detail={"field": field})
