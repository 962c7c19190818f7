"""Figures are told with their unit, and it is known which way is better."""

from __future__ import annotations

import math

import pytest

from bench.figures import DETAILS, FAULTS, NAMES, closest, describe, in_order, number


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (0.1234, "0.123"),
        (9.996, "10.0"),
        (7.0, "7"),
        (99.96, "100"),
        (123_456, "123\u202f456"),
        (0.000_42, "0.00042"),
        (0.01, "0.0100"),
        (-2.5, "-2.50"),
        (math.inf, "∞"),
    ],
)
def test_numbers_have_three_digits(value: float, told: str) -> None:
    """Neither more, which would only be noise, nor an exponent where a person reads."""
    assert number(value) == told


@pytest.mark.parametrize(
    ("name", "unit", "better"),
    [
        ("delay_p99_ms", "ms", "lower"),
        ("cpu_us_per_packet", "µs", "lower"),
        ("joins_per_s", "/s", "higher"),
        ("wire_kbps_per_listener", "kbit/s", "lower"),
        ("loss_ratio", "%", "lower"),
        ("packets_per_s_per_core", "/s per core", "higher"),
        ("received_packets", "", "neither"),
        # Of a load's own, by the end of the name alone.
        ("pause_us_per_frame", "µs/frame", "lower"),
        ("frames_per_s", "/s", "higher"),
        ("frames", "", "neither"),
    ],
)
def test_unit_and_direction_follow_from_the_name(name: str, unit: str, better: str) -> None:
    """What the label says already is not repeated in the unit."""
    figure = describe(name)
    assert figure.unit == unit
    assert figure.better == better


def test_a_ratio_is_told_in_percent() -> None:
    """It is kept as a share of one."""
    assert describe("loss_ratio").text(0.0123) == "1.23 %"


def test_what_was_not_measured_is_a_dash() -> None:
    """Not a zero."""
    assert describe("delay_p99_ms").text(None) == "–"


def test_known_figures_come_first_in_the_glossarys_order() -> None:
    """Whatever the order in which a load found them."""
    assert in_order(["zebra_ms", "join_p99_ms", "delay_p50_ms"]) == [
        "delay_p50_ms",
        "join_p99_ms",
        "zebra_ms",
    ]


def test_a_misspelt_name_finds_the_right_one() -> None:
    """And a name of something else finds nothing."""
    assert closest("delay_p9_ms", NAMES) == "delay_p99_ms"
    assert closest("qqqqqq", NAMES) is None


def test_details_and_faults_are_figures() -> None:
    """A name that is no figure would silently hide nothing."""
    assert set(NAMES) >= DETAILS | FAULTS
