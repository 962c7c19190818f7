"""Outcomes as a file, so that the page can be written anew without measuring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from bench.quality.measuring import Case, Outcome
from bench.quality.treatments import Treatment

_DIGITS = 4
_FIGURES = tuple(one.name for one in fields(Outcome) if one.name not in ("case", "voice", "seed"))


class KeptError(ValueError):
    """A file that `to_json` did not write."""


@dataclass(frozen=True)
class Origin:
    """What the outcomes depend on beside the code."""

    command: str
    voices: tuple[str, ...]
    seeds: int
    versions: str


@dataclass(frozen=True)
class Measurement:
    """All outcomes of one command."""

    origin: Origin
    outcomes: tuple[Outcome, ...]

    def by_case(self) -> Mapping[Case, Sequence[Outcome]]:
        """The outcomes of all voices and seeds together."""
        found: dict[Case, list[Outcome]] = {}
        for one in self.outcomes:
            found.setdefault(one.case, []).append(one)
        return found


def to_json(measurement: Measurement) -> str:
    """A case on each line, with a row for each of its outcomes."""
    cases = [
        json.dumps(
            {
                "treatment": asdict(case.treatment),
                "pattern": case.pattern,
                "loss": case.loss,
                "rows": [[one.voice, one.seed, *_rounded(one)] for one in found],
            }
        )
        for case, found in measurement.by_case().items()
    ]
    head = json.dumps({"origin": asdict(measurement.origin), "figures": _FIGURES})[:-1]
    return head + ', "cases": [\n' + ",\n".join(cases) + "\n]}\n"


def _rounded(outcome: Outcome) -> list[float]:
    return [round(getattr(outcome, name), _DIGITS) for name in _FIGURES]


def from_json(text: str) -> Measurement:
    """What `to_json` wrote. `KeptError` for anything else."""
    try:
        raw = json.loads(text)
        origin = Origin(**raw["origin"] | {"voices": tuple(raw["origin"]["voices"])})
        outcomes = [
            Outcome(
                Case(Treatment(**case["treatment"]), case["pattern"], case["loss"]),
                *row[:2],
                **dict(zip(raw["figures"], row[2:], strict=True)),
            )
            for case in raw["cases"]
            for row in case["rows"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise KeptError(f"no measurement of quality: {error!r}") from None
    return Measurement(origin, tuple(outcomes))
