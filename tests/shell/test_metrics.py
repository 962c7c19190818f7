"""Metrics: named alike, bounded in series, computed when asked for."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from sfu.shell.metrics import LABELS, NAMESPACE, Distribution, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every series with its value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families("".join(metrics.parts()))
        for sample in family.samples
    }


def test_counters_are_read_at_each_scrape_and_grouped_by_reason() -> None:
    metrics = Metrics("1.0")
    numbers = {"received": 1, "forwarded_bytes": 2, "dropped_muted": 3, "dropped_replayed": 4}
    metrics.add_counters("", lambda: numbers)
    metrics.add_counters("udp", lambda: {"received": 9, "dropped_would_block": 1})
    found = samples(metrics)
    assert found["rostrum_received_total", ()] == 1
    assert found["rostrum_forwarded_bytes_total", ()] == 2
    assert found["rostrum_dropped_total", (("reason", "muted"),)] == 3
    assert found["rostrum_dropped_total", (("reason", "replayed"),)] == 4
    assert found["rostrum_udp_received_total", ()] == 9
    assert found["rostrum_udp_dropped_total", (("reason", "would_block"),)] == 1
    numbers["received"] = 100
    assert samples(metrics)["rostrum_received_total", ()] == 100


def test_sizes_are_gauges_with_the_role_of_participants_and_the_tier_of_listeners() -> None:
    metrics = Metrics("1.0")
    sizes = {"rooms": 2, "participants_speaker": 3, "listeners_B2": 4, "protected_1": 5}
    metrics.add_gauges("", lambda: sizes)
    metrics.add_counters("", lambda: {"tier_changes_loss": 6})
    found = samples(metrics)
    assert found["rostrum_rooms", ()] == 2
    assert found["rostrum_participants", (("role", "speaker"),)] == 3
    assert found["rostrum_listeners", (("tier", "B2"),)] == 4
    assert found["rostrum_protected", (("copies", "1"),)] == 5
    assert found["rostrum_tier_changes_total", (("cause", "loss"),)] == 6


def test_a_histogram_that_somebody_else_keeps_is_read_at_each_scrape() -> None:
    metrics = Metrics("1.0")
    kept = [Distribution([1, 2, 3], 0.5)]
    metrics.add_distribution("mix_tick_seconds", "A tick.", (0.001, 0.002), lambda: kept[0])
    kept[0] = Distribution([1, 2, 3], 0.75)
    found = samples(metrics)
    assert found["rostrum_mix_tick_seconds_bucket", (("le", "0.001"),)] == 1
    assert found["rostrum_mix_tick_seconds_bucket", (("le", "0.002"),)] == 3
    assert found["rostrum_mix_tick_seconds_bucket", (("le", "+Inf"),)] == 6
    assert found["rostrum_mix_tick_seconds_count", ()] == 6
    assert found["rostrum_mix_tick_seconds_sum", ()] == 0.75


def test_loop_lag_is_a_histogram_in_seconds() -> None:
    metrics = Metrics("1.0")
    metrics.observe_lag(0.003)
    found = samples(metrics)
    assert found["rostrum_loop_lag_seconds_count", ()] == 1
    assert found["rostrum_loop_lag_seconds_bucket", (("le", "0.002"),)] == 0
    assert found["rostrum_loop_lag_seconds_bucket", (("le", "0.005"),)] == 1


def test_collector_pauses_are_a_histogram_in_seconds() -> None:
    metrics = Metrics("1.0")
    metrics.observe_gc_pause(0.004)
    assert samples(metrics)["rostrum_gc_pause_seconds_sum", ()] == 0.004


def test_every_name_and_label_is_of_the_family() -> None:
    metrics = Metrics("1.0")
    metrics.add_counters("", lambda: {"dropped_x": 1})
    metrics.add_gauges("", lambda: {"participants_listener": 1})
    found = samples(metrics)
    assert all(name.startswith(f"{NAMESPACE}_") for name, _ in found)
    assert {label for _, labels in found for label, _ in labels} <= LABELS
    assert len(found) < 1_000
    assert ("rostrum_process_resident_memory_bytes", ()) in found


def test_histograms_and_gauges_of_several_kinds_have_a_label() -> None:
    metrics = Metrics("1.0")
    kept = {"stun_ok": Distribution([1, 0], 0.5), "dtls_ok": Distribution([0, 2], 4.0)}
    metrics.add_distributions("join_seconds", "Joins.", (1.0,), "stage", lambda: kept)
    metrics.add_labelled_gauge("certificate_x", "X.", "certificate", lambda: {"dtls": 7.0})
    found = samples(metrics)
    assert found["rostrum_join_seconds_bucket", (("le", "1.0"), ("stage", "stun_ok"))] == 1
    assert found["rostrum_join_seconds_count", (("stage", "dtls_ok"),)] == 2
    assert found["rostrum_certificate_x", (("certificate", "dtls"),)] == 7
