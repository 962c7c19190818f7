"""The measuring of the server alone: each part does what it says, and apart from the others."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from bench import server_cost
from bench.inprocess import Hall
from control.commands import RoomCreate
from control.types import Role

SMALL = ["--listeners=5", "--rooms=2", "--joins=6", "--seconds=1"]


@pytest.mark.parametrize("part", ["idle", "rooms", "joins", "storm"])
def test_each_part_prints_a_table(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert server_cost.main([part, *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 3
    if part == "storm":
        assert lines[-1].split() == ["done", "6"]


def test_parts_do_not_share_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """One would get for nothing the memory that another has freed."""
    commands: list[list[str]] = []

    def note(command: list[str]) -> Any:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", note)
    assert server_cost.main(["idle", "joins", *SMALL]) == 0
    assert [command[3] for command in commands] == ["idle", "joins"]
    assert all("--joins=6" in command for command in commands)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(SystemExit) as refused:
        server_cost.main(["nothing"])
    assert refused.value.code == 2


def test_what_the_clients_send_is_authentic() -> None:
    """Otherwise the cost of dropping would be measured."""
    hall = Hall()
    hall.execute(RoomCreate(room="r"))
    visitor = hall.invite(1, "r", Role.SPEAKER)
    hall.connect(visitor)
    packet = visitor.packet(server_cost.PAYLOAD, timestamp=960, level=20)
    for data in (visitor.check(), visitor.report(0), packet):
        hall.feed([(data, visitor.address)], "all")
    counters = hall.worker.counters()
    assert not {name: n for name, n in counters.items() if n and name.startswith("dropped")}
    assert counters["challenges"] == 1
