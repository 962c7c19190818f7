"""The gate compares ratios of one check with stored ones, and fails when one became worse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bench import check, cli
from bench.goals import PARTS, Source
from bench.plan import TABLES

FIGURES: dict[str, dict[str, float]] = {
    "floor": {"ratio": 0.9, "segmented_ratio": 0.8, "floor_us": 3.0},
    "room_200": {"cpu_us_per_packet": 4.0},
    "room_800": {"cpu_us_per_packet": 4.0},
    "room_800_segmented": {"cpu_us_per_packet": 2.0},
    "rooms": {"cpu_us_per_packet": 5.0},
    "joins": {"cpu_ms_per_join": 1.0},
}
Runner = Callable[[str], Mapping[str, float]]


class Machine:
    """Runs loads by telling figures; `slow` are later figures by load, one for each run of it."""

    def __init__(self, **slow: list[dict[str, float]]) -> None:
        self.ran: list[str] = []
        self._slow = slow

    def __call__(self, name: str) -> Mapping[str, float]:
        self.ran.append(name)
        changed = self._slow.get(name) or [{}]
        return FIGURES[name] | (changed.pop(0) if len(changed) > 1 else changed[0])


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command on a machine, against a reference that was stored from FIGURES."""
    path = tmp_path / "reference.json"
    check.write_reference(path, check.ratios(FIGURES))

    def run(machine: Runner, *words: str) -> int:
        monkeypatch.setattr(check, "run_load", machine)
        return check.main(["--reference", str(path), *words])

    return run


def test_the_same_ratios_pass(checked: Callable[..., int]) -> None:
    """Every load runs once."""
    machine = Machine()
    assert checked(machine) == 0
    assert machine.ran == list(check.LOADS)


def test_twice_as_slow_a_machine_passes(checked: Callable[..., int]) -> None:
    """Times do not travel, ratios do."""
    slower = {
        name: [{key: value * (1 if "ratio" in key else 2) for key, value in figures.items()}]
        for name, figures in FIGURES.items()
    }
    assert checked(Machine(**slower)) == 0


@pytest.mark.parametrize(
    ("load", "figures", "name"),
    [
        ("floor", {"ratio": 0.75}, "floor / fan-out"),
        ("floor", {"segmented_ratio": 0.6}, "floor / fan-out, segmented"),
        ("room_800", {"cpu_us_per_packet": 5.0}, "packet at 200 / at 800 listeners"),
        ("room_200", {"cpu_us_per_packet": 4.8}, "packet at 200 / at 800 listeners"),
        ("room_800_segmented", {"cpu_us_per_packet": 2.5}, "packet unsegmented / segmented"),
        ("rooms", {"cpu_us_per_packet": 6.2}, "packet in one / in many rooms"),
        ("joins", {"cpu_ms_per_join": 1.2}, "join / packet, thousands"),
    ],
)
def test_a_worse_ratio_fails(
    checked: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    load: str,
    figures: dict[str, float],
    name: str,
) -> None:
    """Beyond 15 %, twice in a row, and the table says which."""
    assert checked(Machine(**{load: [figures]})) == 1
    worse = [line for line in capsys.readouterr().out.splitlines() if "WORSE" in line]
    assert any(line.startswith(name) for line in worse)


def test_within_the_tolerance_passes(checked: Callable[..., int]) -> None:
    """Ten per cent is what a shared machine does to two runs of the same program."""
    assert checked(Machine(rooms=[{"cpu_us_per_packet": 5.5}])) == 0
    assert checked(Machine(joins=[{"cpu_ms_per_join": 1.1}])) == 0


def test_a_disturbed_measurement_is_repeated(checked: Callable[..., int]) -> None:
    """Only the loads that the worse ratio is made of."""
    machine = Machine(rooms=[{"cpu_us_per_packet": 9.0}, {}])
    assert checked(machine) == 0
    assert machine.ran == [*check.LOADS, "room_200", "rooms"]


def test_a_load_that_was_disturbed_itself_is_repeated(checked: Callable[..., int]) -> None:
    """Once; a machine that is always busy makes it exit 3."""
    calm, failures = Machine(), ["rooms"]

    def disturbed(name: str) -> Mapping[str, float]:
        if name in failures:
            failures.remove(name)
            raise check.Untrustworthy("waiting for a core")
        return calm(name)

    assert checked(disturbed) == 0
    assert calm.ran == list(check.LOADS)


def test_what_is_not_measured_any_more_fails(checked: Callable[..., int]) -> None:
    """A figure that went away must not pass for a good one."""

    def forgetful(name: str) -> Mapping[str, float]:
        return {} if name == "joins" else FIGURES[name]

    assert checked(forgetful) == 1


def test_update_stores_what_was_measured(checked: Callable[..., int], tmp_path: Path) -> None:
    """Then the worse daemon is the reference."""
    worse = {"rooms": [{"cpu_us_per_packet": 10.0}]}
    assert checked(Machine(**worse), "--update") == 0
    raw = json.loads((tmp_path / "reference.json").read_text())
    assert raw["ratios"]["small_rooms"] == 0.4
    assert raw["ratios"].keys() == {ratio.name for ratio in check.RATIOS}
    assert checked(Machine(**worse)) == 0


@pytest.mark.parametrize(
    ("error", "status"), [(check.Unable("no daemon"), 2), (check.Untrustworthy("loop lag"), 3)]
)
def test_a_load_that_cannot_run_is_told(
    checked: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
) -> None:
    """And no table is shown."""

    def broken(name: str) -> Mapping[str, float]:
        raise error

    assert checked(broken) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert str(error) in err


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"format": "x", "version": 1}'])
def test_a_missing_or_foreign_reference_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    """Before a minute is spent on measuring."""
    path = tmp_path / "reference.json"
    if text is not None:
        path.write_text(text)
    assert check.main(["--reference", str(path)]) == 2
    assert "reference.json" in capsys.readouterr().err


def test_every_ratio_is_made_of_loads_that_run() -> None:
    """A misspelt load would never be measured."""
    for ratio in check.RATIOS:
        assert ratio.loads <= check.LOADS.keys()
        assert ratio.of(FIGURES) is not None


def refusal(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line says of these words and of an impossible threshold, which it looks at
    last before it would run them.
    """
    with pytest.raises(SystemExit, match="2"):
        cli.main([*words, "--fail-if", "nonsense"])
    return capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in check.LOADS if name != "floor"])
def test_the_command_line_takes_the_reference_loads(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A renamed option would be found a minute later by somebody else."""
    assert "--fail-if 'nonsense': write" in refusal(check.LOADS[name][1:], capsys)


@pytest.mark.parametrize(
    "source",
    [one for table in TABLES for one in table.sources if one.words[0] not in PARTS],
    ids=lambda source: source.name,
)
def test_the_command_line_takes_the_loads_of_the_tables(
    source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    """Likewise."""
    assert "--fail-if 'nonsense': write" in refusal(source.words, capsys)
