"""The text that Prometheus reads: exact, and quick because what never changes is kept."""

from __future__ import annotations

from prometheus_client import ProcessCollector

from sfu.shell.exposition import Distribution, Histograms, Numbers, Wrapped


def test_numbers_of_one_family_stand_together_below_its_kind() -> None:
    reads = {"a": 1, "dropped_x": 2, "b": 0.5, "dropped_y": 3}
    numbers = Numbers("udp", lambda: reads, grouped={"dropped": "reason"})
    assert numbers.text() == (
        "# HELP rostrum_udp_a_total a, since the start.\n"
        "# TYPE rostrum_udp_a_total counter\n"
        "rostrum_udp_a_total 1.0\n"
        "# HELP rostrum_udp_dropped_total dropped, since the start.\n"
        "# TYPE rostrum_udp_dropped_total counter\n"
        'rostrum_udp_dropped_total{reason="x"} 2.0\n'
        'rostrum_udp_dropped_total{reason="y"} 3.0\n'
        "# HELP rostrum_udp_b_total b, since the start.\n"
        "# TYPE rostrum_udp_b_total counter\n"
        "rostrum_udp_b_total 0.5\n"
    )


def test_a_name_that_comes_or_goes_is_followed() -> None:
    reads = {"a_b": 1}
    gauges = Numbers("", lambda: reads, grouped={}, is_gauge=True)
    before = gauges.text()
    assert before == "# HELP rostrum_a_b a b, now.\n# TYPE rostrum_a_b gauge\nrostrum_a_b 1.0\n"
    reads["c"] = 2
    assert gauges.text().startswith(before) and gauges.text().endswith("\nrostrum_c 2.0\n")
    del reads["a_b"]
    assert "a_b" not in gauges.text()


def test_a_histogram_counts_up_to_each_edge_for_each_value_of_its_label() -> None:
    kept = {'so "so"': Distribution([1, 2, 3], 0.5)}
    text = Histograms("rostrum_t", "A t.", (0.5, 1.0), "stage", lambda: kept).text()
    assert text == (
        "# HELP rostrum_t A t.\n"
        "# TYPE rostrum_t histogram\n"
        'rostrum_t_bucket{stage="so \\"so\\"",le="0.5"} 1.0\n'
        'rostrum_t_bucket{stage="so \\"so\\"",le="1.0"} 3.0\n'
        'rostrum_t_bucket{stage="so \\"so\\"",le="+Inf"} 6.0\n'
        'rostrum_t_count{stage="so \\"so\\""} 6.0\n'
        'rostrum_t_sum{stage="so \\"so\\""} 0.5\n'
    )


def test_what_the_library_collects_is_written_in_the_same_way() -> None:
    text = Wrapped(ProcessCollector(namespace="rostrum", registry=None)).text()
    assert "\n# TYPE rostrum_process_cpu_seconds_total counter\n" in text
    assert "\n# TYPE rostrum_process_open_fds gauge\nrostrum_process_open_fds " in text
