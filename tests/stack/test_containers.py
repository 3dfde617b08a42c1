"""The engine's statistics as metrics."""

from obswarm.stack.containers import metric_values

V2 = {
    "cpu_stats": {
        "cpu_usage": {"total_usage": 2_500_000_000},
        "throttling_data": {"periods": 10, "throttled_periods": 4, "throttled_time": 1_500_000_000},
    },
    "memory_stats": {"usage": 1000, "limit": 5000, "stats": {"inactive_file": 300}},
    "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20, "rx_dropped": 3}},
}


def test_figures_come_in_base_units() -> None:
    found = metric_values(V2)
    assert found["container_cpu_usage_seconds_total"] == 2.5
    assert found["container_cpu_cfs_throttled_seconds_total"] == 1.5
    assert found["container_cpu_cfs_throttled_periods_total"] == 4
    assert found["container_memory_usage_bytes"] == 1000
    assert found["container_memory_working_set_bytes"] == 700
    assert found["container_network_receive_bytes_total"] == 11
    assert found["container_network_transmit_bytes_total"] == 22
    assert found["container_network_receive_packets_dropped_total"] == 3


def test_the_older_cgroups_call_it_differently() -> None:
    memory = {"usage": 1000, "stats": {"total_inactive_file": 400, "inactive_file": 1}}
    assert metric_values({**V2, "memory_stats": memory})["container_memory_working_set_bytes"] == 600


def test_a_container_that_has_ended_has_no_values() -> None:
    assert metric_values({"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}) == {}
    assert metric_values({}) == {}
