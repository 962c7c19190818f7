"""What all commands have in common, and the values that several of them share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Meta

from control.types import Value

R = TypeVar("R")

Page = Annotated[int, Meta(ge=0, le=1_000_000)]


class Command(
    msgspec.Struct,
    Generic[R],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """A request to the daemon; `R` is what it answers with."""

    method: ClassVar[str]
    result: ClassVar[Any]
    mutates: ClassVar[bool] = True
    is_bulky: ClassVar[bool] = False
    """Whether its answer may fill a frame; a connection has only few of these at once."""


AnyCommand = Command[Any]


class Empty(Value, frozen=True, kw_only=True):
    """`{}`: done, nothing to tell."""


class Position(Value, frozen=True, kw_only=True):
    """A place in the stream of events: numbers are comparable within one `epoch` only."""

    epoch: str
    seq: Annotated[int, Meta(ge=0)]
