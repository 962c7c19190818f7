"""`participant.restart_ice`: new credentials for the connection there is."""

from __future__ import annotations

from typing import Any

import pytest

from control.commands import ParticipantRemove, ParticipantRestartIce
from control.errors import ControlError, ErrorCode
from sfu.transport.address import pack_address
from tests.worker.harness import Bench, offer
from tests.worker.test_worker import check, credentials

HERE = pack_address("192.0.2.7", 4000)
THERE = pack_address("198.51.100.7", 5000)


@pytest.fixture
def bench() -> Bench:
    """A room."""
    bench = Bench()
    bench.room()
    return bench


def restart(bench: Bench, ufrag: str = "efgh", **fields: Any) -> str:
    """Restart `p` with another offer of its session; returns the answer."""
    wanted = {"room": "r", "participant": "p", "offer": offer(ufrag=ufrag, pwd="q" * 24)} | fields
    answer: str = bench.run(ParticipantRestartIce(**wanted)).answer
    return answer


def ask(answer: str, ufrag: str = "abcd") -> bytes:
    """A check by a client that applied `answer`."""
    return check(*credentials(answer), ufrag)


def is_answered(bench: Bench, data: bytes, address: bytes) -> bool:
    """Whether the server answers this check there."""
    bench.sent.clear()
    bench.receive(data, address)
    return [to for _, to in bench.sent] == [address]


def test_old_and_new_are_found_until_the_new_was_used(bench: Bench) -> None:
    first = bench.join("p").answer
    assert is_answered(bench, ask(first), HERE)
    second = restart(bench)
    assert credentials(second) != credentials(first)
    assert is_answered(bench, ask(first), HERE)
    assert is_answered(bench, ask(second, "efgh"), THERE)
    assert not is_answered(bench, ask(first), HERE)
    assert is_answered(bench, ask(second, "efgh"), HERE)
    counters = bench.worker.counters()
    assert (counters["ice_restarts"], counters["dropped_stun_stranger"]) == (1, 1)
    assert bench.worker.sizes()["addresses"] == 2


def test_the_answer_is_the_first_one_but_for_the_credentials(bench: Bench) -> None:
    first, second = bench.join("p").answer, restart(bench)
    changed = {
        old.partition(":")[0]
        for old, new in zip(first.splitlines(), second.splitlines(), strict=True)
        if old != new
    }
    assert changed - {"a=ice-ufrag", "a=ice-pwd"} == {
        line for line in first.splitlines() if line.startswith("o=")
    }


def test_restarting_twice_before_any_check_leaves_both_answers_good(bench: Bench) -> None:
    first = bench.join("p").answer
    second = restart(bench, "efgh")
    third = restart(bench, "ijkl")
    assert is_answered(bench, ask(first), HERE)
    assert is_answered(bench, ask(second, "efgh"), THERE)
    assert not is_answered(bench, ask(first), HERE)
    assert is_answered(bench, ask(third, "ijkl"), THERE)
    assert not is_answered(bench, ask(second, "efgh"), THERE)


@pytest.mark.parametrize(
    "fields",
    [
        {"offer": "v=0"},
        {"offer": offer()},
        {"offer": offer(ufrag="efgh", lines=4)},
        {"offer": offer(ufrag="efgh", payload_type=96)},
        {"offer": offer(ufrag="efgh", sends=False)},
        {"offer": offer(ufrag="efgh", fingerprint=":".join(["AB"] * 32))},
    ],
)
def test_an_offer_of_another_session_changes_nothing(bench: Bench, fields: dict[str, Any]) -> None:
    first = bench.join("p").answer
    with pytest.raises(ControlError) as refused:
        restart(bench, **fields)
    assert refused.value.code is ErrorCode.INVALID_ARGUMENT
    assert refused.value.detail == {"field": "offer"}
    assert is_answered(bench, ask(first), HERE)
    assert bench.worker.counters()["offers_refused"] == 1
    assert bench.worker.counters()["ice_restarts"] == 0


def test_nobody_there_is_not_found(bench: Bench) -> None:
    for fields in ({"participant": "q"}, {"room": "nowhere"}):
        with pytest.raises(ControlError) as refused:
            restart(bench, **fields)
        assert refused.value.code is ErrorCode.NOT_FOUND


def test_whoever_leaves_takes_all_its_names_along(bench: Bench) -> None:
    first = bench.join("p").answer
    answers = [first, *(restart(bench, ufrag) for ufrag in ("efgh", "ijkl", "mnop"))]
    bench.run(ParticipantRemove(room="r", participant="p"))
    for answer, ufrag in zip(answers, ("abcd", "efgh", "ijkl", "mnop"), strict=True):
        assert not is_answered(bench, ask(answer, ufrag), HERE)
    assert bench.worker._registry.peers._by_ufrag == {}
    assert bench.worker.counters()["dropped_stun_stranger"] == 4
