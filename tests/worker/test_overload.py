"""Overload is told once when it begins, and once when it is well over."""

from __future__ import annotations

from sfu.worker.overload import RECOVERY_S, Overload

LIMITS = {"rooms": 10.0, "load": 90.0}


def test_only_the_first_refusal_is_news() -> None:
    overload = Overload()
    assert overload.refuse("rooms", 0.0)
    assert not overload.refuse("rooms", 1.0)
    assert overload.refuse("load", 1.0)
    assert overload.limits == ("rooms", "load")


def test_it_recovers_at_nine_tenths_and_not_above() -> None:
    overload = Overload()
    overload.refuse("rooms", 0.0)
    assert overload.observe({"rooms": 10, "load": 0}, LIMITS, 60.0) == []
    assert overload.observe({"rooms": 9.1, "load": 0}, LIMITS, 60.0) == []
    assert overload.observe({"rooms": 9, "load": 0}, LIMITS, 60.0) == ["rooms"]
    assert overload.observe({"rooms": 9, "load": 0}, LIMITS, 61.0) == []
    assert overload.refuse("rooms", 62.0)


def test_it_does_not_recover_while_newcomers_are_refused() -> None:
    overload = Overload()
    free = {"rooms": 0.0, "load": 0.0}
    overload.refuse("rooms", 0.0)
    overload.refuse("rooms", 3.0)
    assert overload.observe(free, LIMITS, RECOVERY_S) == []
    assert overload.observe(free, LIMITS, 3.0 + RECOVERY_S) == ["rooms"]


def test_each_limit_recovers_on_its_own() -> None:
    overload = Overload()
    overload.refuse("rooms", 0.0)
    overload.refuse("load", 0.0)
    assert overload.observe({"rooms": 10, "load": 50}, LIMITS, 60.0) == ["load"]
    assert overload.limits == ("rooms",)
