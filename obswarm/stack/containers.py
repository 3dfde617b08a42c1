"""Export the Docker engine's statistics of containers to Prometheus, with the metric names of cAdvisor
(https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md), so that the same queries and dashboards
work with both."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import gevent
from prometheus_client import Metric as ClientMetric
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from obswarm import clock
from obswarm.greenlets import Supervisor, kill_all
from obswarm.sanitize import clean_text
from obswarm.stack.docker_engine import Engine

logger = logging.getLogger(__name__)

LABEL = "io.obswarm.target"
"""Label of the containers whose statistics are exported, with any value."""

_LIST_EVERY_S = 5.0
_PER_S = 1.0
_METRICS = {
    "container_cpu_usage_seconds_total": ("counter", "CPU time used."),
    "container_cpu_cfs_periods_total": ("counter", "Elapsed enforcement periods of the CPU quota."),
    "container_cpu_cfs_throttled_periods_total": (
        "counter",
        "Enforcement periods in which the container was throttled.",
    ),
    "container_cpu_cfs_throttled_seconds_total": ("counter", "Time for which the container was throttled."),
    "container_memory_usage_bytes": ("gauge", "Memory usage, including page cache."),
    "container_memory_working_set_bytes": ("gauge", "Memory usage without inactive page cache."),
    "container_spec_memory_limit_bytes": ("gauge", "Memory limit."),
    "container_network_receive_bytes_total": ("counter", "Bytes received over all interfaces."),
    "container_network_transmit_bytes_total": ("counter", "Bytes sent over all interfaces."),
    "container_network_receive_packets_dropped_total": ("counter", "Packets dropped while receiving."),
    "container_network_transmit_packets_dropped_total": ("counter", "Packets dropped while sending."),
}


class ContainerStats(Collector):
    """prometheus_client collector that reads the statistics of labelled containers once a second, each container in a
    greenlet of its own. `label` is NAME or NAME=VALUE."""

    def __init__(self, engine: Engine, label: str = LABEL) -> None:
        self._engine = engine
        self._label = label
        self._values: dict[str, tuple[dict[str, str], dict[str, float]]] = {}
        self._watching: dict[str, gevent.Greenlet] = {}
        self._supervisor = Supervisor()
        self._lister = self._supervisor.keep("The list of containers", self._list)

    def close(self) -> None:
        self._lister.kill()
        kill_all(self._watching.values())

    def _list(self) -> None:
        while True:
            try:
                running = self._engine.client.containers.list(filters={"label": self._label})
                for container in running:
                    known = self._watching.get(container.id)
                    if known is None or known.dead:
                        self._watching[container.id] = self._supervisor.spawn(
                            f"The statistics of the container {container.name}", self._read_statistics, container
                        )
            except self._engine.failures as error:
                logger.warning("The Docker engine does not list containers: %s", error)
            self._watching = {key: each for key, each in self._watching.items() if not each.dead}
            gevent.sleep(_LIST_EVERY_S)

    def _read_statistics(self, container: Any) -> None:
        labels = {
            "name": container.name,
            "image": container.attrs["Config"]["Image"],
            "container_label_com_docker_compose_service": container.labels.get("com.docker.compose.service", ""),
        }
        labels = {name: clean_text(value) for name, value in labels.items()}
        try:
            while True:
                began = clock.monotonic()
                # A container that has exited reports zeros.
                found = self._engine.client.api.stats(container.id, stream=False, one_shot=True)
                values = metric_values(found)
                if not values:
                    return
                self._values[container.id] = (labels, values)
                gevent.sleep(max(0.0, _PER_S - (clock.monotonic() - began)))
        except self._engine.failures:
            # The container is gone; otherwise the next listing finds it again.
            pass
        finally:
            self._values.pop(container.id, None)

    def collect(self) -> Iterable[ClientMetric]:
        found = list(self._values.values())
        for name, (kind, text) in _METRICS.items():
            family = ClientMetric(name.removesuffix("_total") if kind == "counter" else name, text, kind)
            for labels, values in found:
                if name in values:
                    family.add_sample(name, labels, values[name])
            yield family


def metric_values(stats: Mapping[str, Any]) -> dict[str, float]:
    """Convert the engine's statistics of a container to metric values; empty if it is not running. Format:
    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerStats"""
    cpu, memory = stats.get("cpu_stats") or {}, stats.get("memory_stats") or {}
    usage = (cpu.get("cpu_usage") or {}).get("total_usage", 0)
    if not usage or "usage" not in memory:
        return {}
    throttling = cpu.get("throttling_data") or {}
    details = memory.get("stats") or {}
    # The names differ between cgroup v1 and v2.
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    networks = list((stats.get("networks") or {}).values())

    def over_networks(name: str) -> float:
        return float(sum(each.get(name, 0) for each in networks))

    return {
        "container_cpu_usage_seconds_total": usage / 1e9,
        "container_cpu_cfs_periods_total": float(throttling.get("periods", 0)),
        "container_cpu_cfs_throttled_periods_total": float(throttling.get("throttled_periods", 0)),
        "container_cpu_cfs_throttled_seconds_total": throttling.get("throttled_time", 0) / 1e9,
        "container_memory_usage_bytes": float(memory["usage"]),
        "container_memory_working_set_bytes": float(max(0, memory["usage"] - inactive)),
        "container_spec_memory_limit_bytes": float(memory.get("limit", 0)),
        "container_network_receive_bytes_total": over_networks("rx_bytes"),
        "container_network_transmit_bytes_total": over_networks("tx_bytes"),
        "container_network_receive_packets_dropped_total": over_networks("rx_dropped"),
        "container_network_transmit_packets_dropped_total": over_networks("tx_dropped"),
    }


class ContainersApp:
    """WSGI application of /metrics."""

    def __init__(self, stats: ContainerStats) -> None:
        self._stats = stats

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        body = generate_latest(self._stats)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(body)))])
        return [body]
