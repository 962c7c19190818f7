"""Which rooms somebody is connected for who may change them. Pure.

A room is controlled while a ready session is there whose scopes may change it. Most changes among
the sessions change nothing of that (a second backend of the same key comes or goes), so what they
control together is a value, and only another value is news.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from control.auth import Scopes


@dataclass(frozen=True)
class Controlled:
    """The rooms under control: all, or those whose id begins with one of `prefixes`."""

    everything: bool = False
    prefixes: tuple[str, ...] = ()

    def __call__(self, room: str) -> bool:
        """Whether this room is among them."""
        return self.everything or room.startswith(self.prefixes)


NOTHING = Controlled()


class Controllers:
    """The scopes of all ready sessions; `on_change` is told what they control when that changes."""

    def __init__(self, on_change: Callable[[Controlled], None] = lambda controlled: None) -> None:
        self._on_change = on_change
        self._sessions: Counter[Scopes] = Counter()
        self._told = NOTHING

    def change(self, before: Scopes | None, after: Scopes | None) -> None:
        """A session came (None before), went (None after), or may do something else now."""
        if after is not None:
            self._sessions[after] += 1
        if before is not None:
            self._sessions[before] -= 1
            if not self._sessions[before]:
                del self._sessions[before]
        controlled = self._controlled()
        if controlled != self._told:
            self._told = controlled
            self._on_change(controlled)

    def _controlled(self) -> Controlled:
        if any(scopes.admin for scopes in self._sessions):
            return Controlled(everything=True)
        prefixes = {prefix for scopes in self._sessions for prefix in scopes.prefixes}
        return Controlled(prefixes=tuple(sorted(prefixes)))
