"""Whether the server takes anybody new: its limits, how much of each is used, and draining.

Every refusal names the limit and says when to come again. Whoever is inside stays, and may come
back (`replaces`) through a full house; only the rate of joins counts for everybody, because a storm
of those who come back costs as much as one of strangers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sized

from control.errors import RETRY_AFTER_MS, ControlError, ErrorCode, exhausted
from control.events import EventBody, ServerOverloaded, ServerRecovered
from sfu.worker.drain import Drain
from sfu.worker.overload import Overload
from sfu.worker.settings import WorkerSettings

# Each second's load counts this much: a second alone says little, five say nearly all.
LOAD_SMOOTHING = 0.4
# After this long a second's worth of joins may come again.
JOINS_RETRY_AFTER_MS = 1_000

LIMITS = ("rooms", "participants", "speakers", "joins_per_s", "load")


class JoinRate:
    """At most `per_s` joins in a second: a bucket that holds one second's worth."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._used = 0.0
        self._at = 0.0

    def used(self, now: float) -> float:
        """How many of one second's joins are used up."""
        self._used = max(0.0, self._used - (now - self._at) * self._per_s)
        self._at = now
        return self._used

    def has_room(self, now: float) -> bool:
        """Whether one more may come."""
        return self.used(now) <= self._per_s - 1

    def take(self, now: float) -> None:
        """One has come."""
        self._used = self.used(now) + 1


class Intake:
    """Asked before a room is opened, before somebody joins, and before somebody goes on stage.

    `counters` gets `refused_<limit>`. `on_stage` is kept by the registry.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        rooms: Sized,
        peers: Sized,
        counters: Counter[str],
        tell: Callable[[EventBody], None],
    ) -> None:
        self.load = 0.0  # share of a core, smoothed
        self.on_stage = 0
        self.drain = Drain()
        self.limits = {
            "rooms": settings.max_rooms,
            "participants": settings.max_participants,
            "speakers": settings.max_speakers,
            "joins_per_s": settings.max_joins_per_s,
            "load": round(settings.max_load * 100),
        }
        self._max_load = settings.max_load
        self._rooms = rooms
        self._peers = peers
        self._joins = JoinRate(settings.max_joins_per_s)
        self._overload = Overload()
        self._counters = counters
        self._tell = tell
        counters.update(dict.fromkeys((f"refused_{limit}" for limit in LIMITS), 0))

    def use(self, now: float) -> dict[str, int]:
        """How much of each limit is used; `load` in percent of a core."""
        return {
            "rooms": len(self._rooms),
            "participants": len(self._peers),
            "speakers": self.on_stage,
            "joins_per_s": round(self._joins.used(now)),
            "load": round(self.load * 100),
        }

    def fullness(self) -> float:
        """The largest share of anything that lasts, 0 to 1: what a backend spreads rooms by."""
        limits = self.limits
        return max(
            self.load,
            len(self._rooms) / limits["rooms"],
            len(self._peers) / limits["participants"],
            self.on_stage / limits["speakers"],
        )

    def observe_load(self, load: float, now: float) -> None:
        """The share of a core used lately, told once a second; also the time to recover."""
        self.load += LOAD_SMOOTHING * (load - self.load)
        for limit in self._overload.observe(self.use(now), self.limits, now):
            self._tell(ServerRecovered(limit=limit))

    # Questions; each raises ControlError, `resource_exhausted` or `unavailable`

    def check_accepting(self) -> None:
        """Nothing new is taken while draining."""
        if self.drain.is_on:
            raise ControlError(ErrorCode.UNAVAILABLE, "this server is draining")

    def check_room(self, now: float) -> None:
        """One more room."""
        self.check_accepting()
        if len(self._rooms) >= self.limits["rooms"]:
            self._refuse("rooms", f"this server has {self.limits['rooms']} rooms already", now)

    def check_join(self, now: float, *, is_newcomer: bool, takes_stage: bool) -> None:
        """One more join."""
        self.check_accepting()
        if is_newcomer and len(self._peers) >= self.limits["participants"]:
            limit = self.limits["participants"]
            self._refuse("participants", f"this server has {limit} participants already", now)
        if is_newcomer and self.load > self._max_load:
            self._refuse("load", "this server is busy", now)
        if takes_stage:
            self.check_stage(now)
        if not self._joins.has_room(now):
            limit = self.limits["joins_per_s"]
            message = f"this server takes {limit} joins a second"
            self._refuse("joins_per_s", message, now, after_ms=JOINS_RETRY_AFTER_MS)

    def check_stage(self, now: float, newcomers: int = 1) -> None:
        """More people on the stages of all rooms together."""
        if newcomers > 0 and self.on_stage + newcomers > self.limits["speakers"]:
            limit = self.limits["speakers"]
            self._refuse("speakers", f"this server takes {limit} people on stage", now)

    def note_join(self, now: float) -> None:
        """Somebody has joined."""
        self._joins.take(now)

    def _refuse(
        self, limit: str, message: str, now: float, *, after_ms: int = RETRY_AFTER_MS
    ) -> None:
        self._counters[f"refused_{limit}"] += 1
        if self._overload.refuse(limit, now):
            self._tell(ServerOverloaded(limit=limit))
        raise exhausted(limit, message, retry_after_ms=after_ms)
